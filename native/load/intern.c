/*
 * intern.c: a hash table of values, by linear probing. A slot remembers 32 bits of the hash.
 */
#include "intern.h"

#include <stdlib.h>

struct intern_slot {
    uint32_t hash;
    int32_t id; /* from 1; 0 is an empty slot */
};

void *load_grown(void *array, size_t *capacity, size_t needed, size_t item_bytes)
{
    size_t next = *capacity < 64 ? 64 : *capacity;
    while (next < needed) {
        if (next > SIZE_MAX / 2)
            return NULL;
        next *= 2;
    }
    if (next > SIZE_MAX / item_bytes)
        return NULL;
    void *moved = realloc(array, next * item_bytes);
    if (moved)
        *capacity = next;
    return moved;
}

static inline uint32_t intern_hash(const struct intern *in, uint8_t tag, const void *data,
                                   size_t length)
{
    const uint8_t *at = data;
    bool is_long = length >= 8;
    uint64_t hash = in->seed ^ (length * 16 + tag);
    uint64_t word;
    for (; length >= 8; at += 8, length -= 8) {
        memcpy(&word, at, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    word = 0;
    if (is_long)
        memcpy(&word, at + length - 8, 8); /* some of it again */
    else
        for (size_t i = 0; i < length; i++)
            word |= (uint64_t)at[i] << (8 * i);
    return (uint32_t)intern_mix(hash ^ word);
}

static bool intern_rehash(struct intern *in)
{
    size_t next = in->slots_n ? in->slots_n * 2 : 64;
    struct intern_slot *slots = calloc(next, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < in->slots_n; i++) {
        if (!in->slots[i].id)
            continue;
        size_t at = in->slots[i].hash & (next - 1);
        while (slots[at].id)
            at = (at + 1) & (next - 1);
        slots[at] = in->slots[i];
    }
    free(in->slots);
    in->slots = slots;
    in->slots_n = next;
    return true;
}

/* Room for one more value; false without memory, or past 2^31 - 2 values. */
static bool intern_reserve(struct intern *in)
{
    size_t n = (size_t)in->n;
    if (in->n == INT32_MAX - 1)
        return false;
    if (n * 3 >= in->slots_n * 2 && !intern_rehash(in))
        return false;
    if (n < in->capacity)
        return true;
    size_t capacity = in->capacity;
    int64_t *words = load_grown(in->words, &capacity, n + 1, sizeof *words);
    if (!words)
        return false;
    in->words = words;
    uint8_t *tags = load_grown(in->tags, &in->capacity, n + 1, sizeof *tags);
    if (!tags)
        return false;
    in->tags = tags;
    return true;
}

static int32_t intern_append(struct intern *in, size_t slot, uint32_t hash, uint8_t tag,
                             int64_t word)
{
    in->tags[in->n] = tag;
    in->words[in->n] = word;
    in->slots[slot] = (struct intern_slot){hash, in->n + 1};
    return in->n++;
}

int32_t intern_word(struct intern *in, uint8_t tag, int64_t word)
{
    if (!intern_reserve(in))
        return -1;
    uint32_t hash = (uint32_t)intern_mix(in->seed ^ ((uint64_t)word * 16 + tag));
    size_t at = hash & (in->slots_n - 1);
    for (; in->slots[at].id; at = (at + 1) & (in->slots_n - 1)) {
        int32_t id = in->slots[at].id - 1;
        if (in->slots[at].hash == hash && in->words[id] == word && in->tags[id] == tag)
            return id;
    }
    return intern_append(in, at, hash, tag, word);
}

/* The slot of such a value, or the empty slot where it belongs. */
static inline size_t intern_slot_of(const struct intern *in, uint32_t hash, uint8_t tag,
                                    const void *data, size_t length)
{
    size_t at = hash & (in->slots_n - 1);
    for (; in->slots[at].id; at = (at + 1) & (in->slots_n - 1)) {
        int32_t id = in->slots[at].id - 1;
        if (in->slots[at].hash == hash && in->tags[id] == tag &&
            intern_length(in, id) == length && memcmp(intern_bytes(in, id), data, length) == 0)
            break;
    }
    return at;
}

int32_t intern_find(const struct intern *in, uint8_t tag, const void *data, size_t length)
{
    if (!in->n)
        return -1;
    uint32_t hash = intern_hash(in, tag, data, length);
    return in->slots[intern_slot_of(in, hash, tag, data, length)].id - 1;
}

int32_t intern_data(struct intern *in, uint8_t tag, const void *data, size_t length)
{
    if (!intern_reserve(in))
        return -1;
    uint32_t hash = intern_hash(in, tag, data, length);
    size_t at = intern_slot_of(in, hash, tag, data, length);
    if (in->slots[at].id)
        return in->slots[at].id - 1;
    size_t needed = in->bytes_n + sizeof(uint32_t) + length;
    if (needed > in->bytes_capacity) {
        uint8_t *bytes = load_grown(in->bytes, &in->bytes_capacity, needed, 1);
        if (!bytes)
            return -1;
        in->bytes = bytes;
    }
    uint32_t short_length = (uint32_t)length; /* the limits on texts and items keep it short */
    int64_t offset = (int64_t)in->bytes_n;
    memcpy(in->bytes + in->bytes_n, &short_length, sizeof short_length);
    memcpy(in->bytes + in->bytes_n + sizeof short_length, data, length);
    in->bytes_n = needed;
    return intern_append(in, at, hash, tag, offset);
}

struct load_values intern_view(const struct intern *in)
{
    return (struct load_values){in->n, in->tags, in->words, in->bytes, in->bytes_n};
}

void intern_free(struct intern *in)
{
    free(in->tags);
    free(in->words);
    free(in->bytes);
    free(in->slots);
}
