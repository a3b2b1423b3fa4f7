/* See output.h. */
#define _POSIX_C_SOURCE 200809L
#include "output.h"

#include "memory.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static void put(struct output *output, const void *bytes, size_t size)
{
    if (output->size + size > output->capacity) {
        output->capacity = 2 * (output->size + size) + 4096;
        output->bytes = host_resize(output->bytes, output->capacity);
    }
    if (size)
        memcpy(output->bytes + output->size, bytes, size);
    output->size += size;
}

void put_u8(struct output *output, unsigned value)
{
    put(output, &(uint8_t){(uint8_t)value}, 1);
}

void put_u16(struct output *output, unsigned value)
{
    uint8_t bytes[] = {(uint8_t)value, (uint8_t)(value >> 8)};
    put(output, bytes, sizeof bytes);
}

void put_u32(struct output *output, uint32_t value)
{
    put_u16(output, value & 0xffff);
    put_u16(output, value >> 16);
}

void put_u64(struct output *output, uint64_t value)
{
    put_u32(output, (uint32_t)value);
    put_u32(output, (uint32_t)(value >> 32));
}

void put_f64(struct output *output, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_u64(output, bits);
}

void put_text(struct output *output, const char *text)
{
    size_t size = strnlen(text, UINT16_MAX);
    put_u16(output, (unsigned)size);
    put(output, text, size);
}

void put_blob(struct output *output, const void *bytes, size_t size)
{
    put_u32(output, (uint32_t)size);
    put(output, bytes, size);
}

void frame_begin(struct output *output, enum frame_kind kind)
{
    output->frame = output->size;
    put_u32(output, 0);
    put_u8(output, kind);
}

void frame_end(struct output *output)
{
    uint32_t size = (uint32_t)(output->size - output->frame - 4);
    for (unsigned i = 0; i < 4; i++)
        output->bytes[output->frame + i] = (uint8_t)(size >> (8 * i));
    output->frame = output->size;
}

void output_move(struct output *from, struct output *to)
{
    put(to, from->bytes, from->size);
    from->size = from->frame = 0;
}

bool output_flush(struct output *output)
{
    size_t at = 0;
    while (at < output->size) {
        ssize_t count = write(STDOUT_FILENO, output->bytes + at, output->size - at);
        if (count < 0 && errno != EINTR)
            return false;
        at += count > 0 ? (size_t)count : 0;
    }
    output->size = output->frame = 0;
    return true;
}

static uint64_t get(struct input *input, unsigned size)
{
    if ((size_t)(input->end - input->at) < size) {
        input->is_short = true;
        input->at = input->end;
        return 0;
    }
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)input->at[i] << (8 * i);
    input->at += size;
    return value;
}

uint8_t get_u8(struct input *input)
{
    return (uint8_t)get(input, 1);
}

uint16_t get_u16(struct input *input)
{
    return (uint16_t)get(input, 2);
}

uint32_t get_u32(struct input *input)
{
    return (uint32_t)get(input, 4);
}

uint64_t get_u64(struct input *input)
{
    return get(input, 8);
}

double get_f64(struct input *input)
{
    uint64_t bits = get(input, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static const uint8_t *get_bytes(struct input *input, size_t size)
{
    if ((size_t)(input->end - input->at) < size) {
        input->is_short = true;
        return NULL;
    }
    const uint8_t *bytes = input->at;
    input->at += size;
    return bytes;
}

void get_text(struct input *input, char *text, size_t size)
{
    size_t length = get_u16(input);
    const uint8_t *bytes = get_bytes(input, length);
    text[0] = 0;
    if (!bytes)
        return;
    if (length >= size || memchr(bytes, 0, length)) {
        input->is_short = true;
        return;
    }
    memcpy(text, bytes, length);
    text[length] = 0;
}

const uint8_t *get_blob(struct input *input, size_t *size)
{
    *size = get_u32(input);
    const uint8_t *bytes = get_bytes(input, *size);
    if (!bytes)
        *size = 0;
    return bytes;
}

bool input_is_whole(const struct input *input)
{
    return !input->is_short && input->at == input->end;
}
