/* See memory.h. */
#define _GNU_SOURCE
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    CLASS_MIN = 6,
    CHECKED_BYTES = 256, /* of a freed block, at its start: that is where its fields are */
    FRESH = 0xAA,
    FREED = 0xDD,
};

static const uint32_t LIVE_MAGIC = 0xA110C8EDu, FREED_MAGIC = 0xF4EEF4EEu;
static const uintptr_t FIRST_ADDRESS = 0x210000000000u;

struct header {
    uint32_t magic;
    uint32_t class;
    size_t size;
    void *next;
    uint64_t padding;
};

bool arena_map(struct arena *arena, unsigned number)
{
    uintptr_t address = FIRST_ADDRESS + ((uintptr_t)number << 32);
    void *at = mmap((void *)address, ARENA_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (at != (void *)address)
        return false;
    *arena = (struct arena){.start = at};
    return true;
}

void arena_reset(struct arena *arena)
{
    arena->used = 0;
    arena->fail_in = 0;
    memset(arena->freed, 0, sizeof arena->freed);
}

bool arena_has(const struct arena *arena, const void *block)
{
    const uint8_t *at = block;
    return at >= arena->start + sizeof(struct header) && at < arena->start + arena->used;
}

static bool was_written(const struct header *block)
{
    const uint8_t *data = (const uint8_t *)(block + 1);
    size_t count = block->size < CHECKED_BYTES ? block->size : CHECKED_BYTES;
    return count && (data[0] != FREED || memcmp(data, data + 1, count - 1) != 0);
}

/* Its blocks have 2^class bytes, at least `size`. */
static uint32_t class_of(size_t size)
{
    uint32_t class = 64 - (uint32_t)__builtin_clzll(size - 1);
    return class < CLASS_MIN ? CLASS_MIN : class;
}

void *arena_allocate(struct arena *arena, size_t size, memory_fault *fault, void *context)
{
    if (arena->fail_in && --arena->fail_in == 0) {
        arena->failures++;
        return NULL;
    }
    if (size > ARENA_BYTES)
        return NULL;
    uint32_t class = class_of(size + sizeof(struct header));
    if (class >= ARENA_CLASSES)
        return NULL;
    struct header *block = arena->freed[class];
    if (block) {
        arena->freed[class] = block->next;
        if (was_written(block))
            fault(context, "memory was written to after it had been freed");
    } else {
        if (arena->used + ((size_t)1 << class) > ARENA_BYTES)
            return NULL;
        block = (struct header *)(arena->start + arena->used);
        arena->used += (size_t)1 << class;
    }
    *block = (struct header){.magic = LIVE_MAGIC, .class = class, .size = size};
    memset(block + 1, FRESH, size);
    return block + 1;
}

size_t arena_size(const void *block)
{
    return ((const struct header *)block - 1)->size;
}

void arena_free(struct arena *arena, void *block, memory_fault *fault, void *context)
{
    if (!block)
        return;
    struct header *header = (struct header *)block - 1;
    if (!arena_has(arena, block)) {
        fault(context, "freed memory that is not the server's");
        return;
    }
    if (header->magic != LIVE_MAGIC) {
        fault(context, header->magic == FREED_MAGIC ? "freed memory twice"
                                                    : "freed what was not allocated");
        return;
    }
    header->magic = FREED_MAGIC;
    memset(block, FREED, header->size);
    header->next = arena->freed[header->class];
    arena->freed[header->class] = header;
}

static void *or_end(void *block)
{
    if (!block) {
        fputs("the simulator is out of memory\n", stderr);
        exit(3);
    }
    return block;
}

void *host_allocate(size_t size)
{
    return or_end(calloc(1, size ? size : 1));
}

void *host_resize(void *block, size_t size)
{
    return or_end(realloc(block, size ? size : 1));
}

struct blob *blob_copy(const void *data, size_t size)
{
    struct blob *blob = or_end(malloc(sizeof *blob + size));
    blob->references = 1;
    blob->size = (uint32_t)size;
    if (size)
        memcpy(blob->data, data, size);
    return blob;
}

struct blob *blob_share(struct blob *blob)
{
    if (blob)
        blob->references++;
    return blob;
}

void blob_free(struct blob *blob)
{
    if (blob && !--blob->references)
        free(blob);
}
