/*
 * Memory. A server's process has an arena at a fixed address: a crash empties it, and addresses,
 * which a library may use by mistake as values, are the same in each run. Our own state is on the
 * ordinary heap (`host_`), which ends the simulator when there is no more.
 *
 * What a server frees is poisoned, and checked when it is given out again: freeing twice, freeing
 * what was never allocated, and writing to freed memory are reported.
 */
#ifndef DISSEVER_SIMULATION_MEMORY_H
#define DISSEVER_SIMULATION_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ARENA_BYTES = 256 << 20, /* of address space; pages are taken as they are used */
    ARENA_CLASSES = 29,      /* blocks of 1 << class bytes */
};

struct arena {
    uint8_t *start;
    size_t used;
    void *freed[ARENA_CLASSES];
    uint64_t fail_in;  /* allocations until one fails; 0: none will */
    uint64_t failures; /* how many have failed */
};

/* Called with what a server did wrong to its memory. */
typedef void memory_fault(void *context, const char *text);

/* Maps an arena; `number` chooses its address. False if the system does not give it. */
bool arena_map(struct arena *arena, unsigned number);

/* Forget all that is in it, as the end of a process does. */
void arena_reset(struct arena *arena);

bool arena_has(const struct arena *arena, const void *block);

/* Filled with 0xAA. NULL when it is time to fail, or when the arena is full. */
void *arena_allocate(struct arena *arena, size_t size, memory_fault *fault, void *context);

/* The bytes asked for. The block must be one that was allocated. */
size_t arena_size(const void *block);

void arena_free(struct arena *arena, void *block, memory_fault *fault, void *context);

/* Like malloc (zeroed) and realloc, but the simulator ends when there is no memory. */
void *host_allocate(size_t size);
void *host_resize(void *block, size_t size);

/* Bytes that many may share, and nobody changes. */
struct blob {
    uint32_t references;
    uint32_t size;
    uint8_t data[];
};

struct blob *blob_copy(const void *data, size_t size);
struct blob *blob_share(struct blob *blob); /* NULL is none */
void blob_free(struct blob *blob);

#endif
