/*
 * memo.h: a set of configurations, kept as fixed-width blocks of 64-bit words.
 *
 * Word 0 holds the number of the next return and the state, then come the mask words, then the
 * counts of crashed operations used, four 15-bit counts a word. A stored block dominates another
 * with the same key and greater or equal counts: what that one can still do, it can do too.
 *
 * Rule (i). So does one that used more of some kinds, if it used as many fewer of what covers them:
 * a kind covers another if it is enabled everywhere and leads where that other always leads. What
 * the stored block has left of it can take the place of the others, and was invoked by now, since
 * the other block used it.
 *
 * Source: Lowe, "Testing for linearizability" (2017), for the memo; dominance over counts is ours.
 */
#ifndef DISSEVER_MEMO_H
#define DISSEVER_MEMO_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MEMO_BLOCKS_MAX (UINT32_C(1) << 30)
#define COUNT_MAX 32767u
#define COUNTS_PER_WORD 4u
#define COUNT_HIGH_BITS UINT64_C(0x8000800080008000)

#define COVER_SLOTS_MAX 64

/* Bytes held by one search; `limit` is never passed. */
struct account {
    uint64_t used;
    uint64_t peak;
    uint64_t limit;
};

/* realloc within the limit; NULL past it or out of memory, with `old` left as it was. */
static void *account_resize(struct account *account, void *old, uint64_t old_bytes, uint64_t bytes)
{
    if (bytes > SIZE_MAX || account->used - old_bytes + bytes > account->limit)
        return NULL;
    void *memory = realloc(old, bytes == 0 ? 1 : (size_t)bytes);
    if (memory == NULL)
        return NULL;
    account->used = account->used - old_bytes + bytes;
    if (account->used > account->peak)
        account->peak = account->used;
    return memory;
}

/* The same for zeros. */
static void *account_zeroed(struct account *account, uint64_t bytes)
{
    if (bytes > SIZE_MAX || account->used + bytes > account->limit)
        return NULL;
    void *memory = calloc(1, bytes == 0 ? 1 : (size_t)bytes);
    if (memory == NULL)
        return NULL;
    account->used += bytes;
    if (account->used > account->peak)
        account->peak = account->used;
    return memory;
}

static void account_free(struct account *account, void *memory, uint64_t bytes)
{
    if (memory != NULL)
        account->used -= bytes;
    free(memory);
}

/* Which kinds of crashed operations cover which, by slot of kinds: rule (i). */
struct cover {
    int32_t n_slots; /* the first slots, which no two kinds share; 0: no rule (i) */
    int32_t coverer[COVER_SLOTS_MAX]; /* the slot of what covers it, or -1 */
    uint64_t covered[COVER_SLOTS_MAX / COUNTS_PER_WORD]; /* the guard bits of those covered */
};

struct memo {
    const struct cover *cover;
    uint64_t *blocks;
    uint32_t count;
    uint32_t capacity;
    uint32_t width;     /* words in a block */
    uint32_t key_words; /* words that must be equal; the rest are counts */
    uint32_t *slots;    /* base + 1 + the last block of a key; at most base means free */
    uint32_t *links;    /* by block: 1 + the block of the same key before it, or 0 */
    uint32_t slot_mask; /* number of slots - 1 */
    uint32_t base;
};

enum memo_answer { MEMO_NEW, MEMO_SEEN, MEMO_FULL };

static uint64_t *memo_block(const struct memo *memo, uint32_t number)
{
    return memo->blocks + (size_t)number * memo->width;
}

static uint32_t memo_hash(const uint64_t *block, uint32_t words)
{
    uint64_t hash = UINT64_C(0x9E3779B97F4A7C15);
    for (uint32_t i = 0; i < words; i++) {
        hash ^= block[i];
        hash *= UINT64_C(0xFF51AFD7ED558CCD);
        hash ^= hash >> 32;
    }
    return (uint32_t)(hash ^ (hash >> 15));
}

/* Whether every count of `low` is at most that of `high`: no lane borrows from its guard bit. */
static bool counts_dominate(const uint64_t *low, const uint64_t *high, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++)
        if ((((high[i] | COUNT_HIGH_BITS) - low[i]) & COUNT_HIGH_BITS) != COUNT_HIGH_BITS)
            return false;
    return true;
}

/* Whether `low` dominates `high`, both counts, by rule (i) too. */
static bool memo_dominates(const struct memo *memo, const uint64_t *low, const uint64_t *high)
{
    const struct cover *cover = memo->cover;
    uint32_t words = memo->width - memo->key_words;
    int32_t left[COVER_SLOTS_MAX];

    if (cover->n_slots == 0)
        return counts_dominate(low, high, words);
    uint64_t is_more = 0;
    for (uint32_t i = 0; i < words; i++) {
        uint64_t more = ~((high[i] | COUNT_HIGH_BITS) - low[i]) & COUNT_HIGH_BITS;
        uint64_t covered = i < COVER_SLOTS_MAX / COUNTS_PER_WORD ? cover->covered[i] : 0;
        if ((more & ~covered) != 0)
            return false;
        is_more |= more;
    }
    for (int32_t slot = 0; is_more != 0 && slot < cover->n_slots; slot++) {
        uint32_t word = (uint32_t)slot / COUNTS_PER_WORD;
        uint32_t shift = 16 * ((uint32_t)slot % COUNTS_PER_WORD);
        left[slot] =
            (int32_t)(high[word] >> shift & 0xFFFF) - (int32_t)(low[word] >> shift & 0xFFFF);
    }
    for (int32_t slot = 0; is_more != 0 && slot < cover->n_slots; slot++)
        if (left[slot] < 0 && (left[cover->coverer[slot]] += left[slot]) < 0)
            return false;
    return true;
}

/* The slot of the blocks with the same key, or the free one where they would be. */
static uint32_t memo_find(const struct memo *memo, const uint64_t *block)
{
    uint32_t keys = memo->key_words, at = memo_hash(block, keys) & memo->slot_mask;
    for (; memo->slots[at] > memo->base; at = (at + 1) & memo->slot_mask) {
        const uint64_t *stored = memo_block(memo, memo->slots[at] - memo->base - 1);
        if (memcmp(stored, block, sizeof(uint64_t) * keys) != 0)
            continue;
        break;
    }
    return at;
}

/* Make a block the last one of its key. */
static void memo_place(struct memo *memo, uint32_t number, uint32_t at)
{
    bool is_first = memo->slots[at] <= memo->base;
    memo->links[number] = is_first ? 0 : memo->slots[at] - memo->base;
    memo->slots[at] = memo->base + 1 + number;
}

/* Room for one more block at a load of at most one half. Returns 0, or -1 past the limit. */
static int memo_grow(struct memo *memo, struct account *account)
{
    uint32_t capacity = memo->capacity == 0 ? 64 : memo->capacity * 2;
    uint64_t block_bytes = sizeof(uint64_t) * memo->width;
    uint64_t slot_bytes = sizeof(uint32_t) * 3; /* two slots and a link for each block */

    if (capacity > MEMO_BLOCKS_MAX)
        return -1;
    uint64_t *blocks = account_resize(account, memo->blocks, block_bytes * memo->capacity,
                                      block_bytes * capacity);
    if (blocks == NULL)
        return -1;
    memo->blocks = blocks;
    uint32_t *slots = account_resize(account, NULL, 0, slot_bytes * capacity);
    if (slots == NULL) {
        account->used -= block_bytes * (capacity - memo->capacity); /* never reached again */
        return -1;
    }
    account_free(account, memo->slots, slot_bytes * memo->capacity);
    memset(slots, 0, sizeof(uint32_t) * 2 * (size_t)capacity);
    memo->slots = slots;
    memo->links = slots + 2 * (size_t)capacity;
    memo->slot_mask = capacity * 2 - 1;
    memo->capacity = capacity;
    memo->base = 0;
    for (uint32_t number = 0; number < memo->count; number++)
        memo_place(memo, number, memo_find(memo, memo_block(memo, number)));
    return 0;
}

/*
 * Store `block` unless a stored one dominates it. `replace` lets it take the place of one that it
 * dominates; without, block numbers stay in order of insertion.
 */
static enum memo_answer memo_add(struct memo *memo, struct account *account, const uint64_t *block,
                                 bool replace)
{
    if (memo->count == memo->capacity && memo_grow(memo, account) != 0)
        return MEMO_FULL;
    uint32_t keys = memo->key_words;
    uint32_t at = memo_find(memo, block);
    uint32_t last = memo->slots[at] > memo->base ? memo->slots[at] - memo->base : 0;
    for (uint32_t link = last; link != 0; link = memo->links[link - 1]) {
        uint64_t *stored = memo_block(memo, link - 1);
        if (memo_dominates(memo, stored + keys, block + keys))
            return MEMO_SEEN;
        if (replace && memo_dominates(memo, block + keys, stored + keys)) {
            memcpy(stored, block, sizeof(uint64_t) * memo->width);
            return MEMO_NEW;
        }
    }
    memcpy(memo_block(memo, memo->count), block, sizeof(uint64_t) * memo->width);
    memo_place(memo, memo->count, at);
    memo->count++;
    return MEMO_NEW;
}

/* Forget every block in constant time: their slots count as free from now on. */
static void memo_clear(struct memo *memo)
{
    memo->base += memo->count;
    memo->count = 0;
    if (memo->base > UINT32_MAX - 2 * MEMO_BLOCKS_MAX) {
        memset(memo->slots, 0, sizeof(uint32_t) * ((size_t)memo->slot_mask + 1));
        memo->base = 0;
    }
}

static void memo_free(struct memo *memo, struct account *account)
{
    account_free(account, memo->blocks, sizeof(uint64_t) * memo->width * memo->capacity);
    account_free(account, memo->slots, sizeof(uint32_t) * 3 * memo->capacity);
    memo->blocks = NULL;
    memo->slots = memo->links = NULL;
    memo->count = memo->capacity = memo->base = 0;
}

#endif
