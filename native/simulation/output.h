/* Frames that wait to be written to the harness, and reading those that it wrote (frames.h). */
#ifndef DISSEVER_SIMULATION_OUTPUT_H
#define DISSEVER_SIMULATION_OUTPUT_H

#include "frames.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output {
    uint8_t *bytes;
    size_t size, capacity;
    size_t frame; /* where the frame that is being written begins */
};

/* A frame: begin, put its fields, end. */
void frame_begin(struct output *output, enum frame_kind kind);
void put_u8(struct output *output, unsigned value);
void put_u16(struct output *output, unsigned value);
void put_u32(struct output *output, uint32_t value);
void put_u64(struct output *output, uint64_t value);
void put_f64(struct output *output, double value);
void put_text(struct output *output, const char *text); /* cut to what a u16 counts */
void put_blob(struct output *output, const void *bytes, size_t size);
void frame_end(struct output *output);

/* Put all that is in one at the end of another, and empty it. */
void output_move(struct output *from, struct output *to);

/* Write all to stdout. False: the harness is gone. */
bool output_flush(struct output *output);

/* The fields of a frame that was read. What is not there is 0 or empty, and `is_short` says so. */
struct input {
    const uint8_t *at, *end;
    bool is_short;
};

uint8_t get_u8(struct input *input);
uint16_t get_u16(struct input *input);
uint32_t get_u32(struct input *input);
uint64_t get_u64(struct input *input);
double get_f64(struct input *input);
/* Copies at most `size` - 1 bytes and ends them with 0; longer ones count as short. */
void get_text(struct input *input, char *text, size_t size);
const uint8_t *get_blob(struct input *input, size_t *size);

/* Nothing more in it, and nothing was short. */
bool input_is_whole(const struct input *input);

#endif
