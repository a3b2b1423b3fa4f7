/*
 * intern.h: distinct values by id, in order of first use.
 *
 * A list holds the ids of its items, so equal values have equal bytes, and a value is compared in
 * one memcmp whatever its depth. The table owns its memory until `intern_free`. A struct of zeros,
 * with a seed, is an empty table. It holds at most 2^31 - 2 values.
 */
#ifndef DISSEVER_INTERN_H
#define DISSEVER_INTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "load.h"

struct intern_slot;

struct intern {
    uint8_t *tags;
    int64_t *words;
    size_t capacity;
    uint8_t *bytes;
    size_t bytes_n, bytes_capacity;
    struct intern_slot *slots;
    size_t slots_n; /* a power of two, or 0 */
    uint64_t seed;  /* of the hash; ids do not depend on it */
    int32_t n;
};

/* The id of a value that its tag and one word make up; -1 without memory or ids. */
int32_t intern_word(struct intern *in, uint8_t tag, int64_t word);

/* The id of a value that is `length` bytes, at most 2^32 - 1; -1 without memory or ids. */
int32_t intern_data(struct intern *in, uint8_t tag, const void *data, size_t length);

/* The id of such a value, or -1 where the table has none. */
int32_t intern_find(const struct intern *in, uint8_t tag, const void *data, size_t length);

/* The table as Python sees it; valid until the next value is added. */
struct load_values intern_view(const struct intern *in);

void intern_free(struct intern *in);

/*
 * The array with room for `needed` items and `*capacity` set; NULL without memory, and then the
 * array and its capacity are as they were.
 */
void *load_grown(void *array, size_t *capacity, size_t needed, size_t item_bytes);

/* The length in bytes of a text, list, map or large integer. */
static inline uint32_t intern_length(const struct intern *in, int32_t id)
{
    uint32_t length;
    memcpy(&length, in->bytes + in->words[id], sizeof length);
    return length;
}

/* The bytes of such a value; valid until the next value is added. */
static inline const uint8_t *intern_bytes(const struct intern *in, int32_t id)
{
    return in->bytes + in->words[id] + sizeof(uint32_t);
}

/* All bits of the result depend on all bits of x. */
static inline uint64_t intern_mix(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

#endif
