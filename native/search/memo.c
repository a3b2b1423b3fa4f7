/*
 * memo.c: the hash table of configurations, and dominance (see memo.h).
 */
#include "memo.h"

#include <string.h>

#define COUNT_HIGH_BITS UINT64_C(0x8000800080008000)

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
static int memo_grow(struct memo *memo)
{
    struct account *account = memo->account;
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

enum memo_answer memo_add(struct memo *memo, const uint64_t *block, bool replace)
{
    if (memo->count == memo->capacity && memo_grow(memo) != 0)
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

void memo_clear(struct memo *memo)
{
    memo->base += memo->count;
    memo->count = 0;
    if (memo->base > UINT32_MAX - 2 * MEMO_BLOCKS_MAX) {
        memset(memo->slots, 0, sizeof(uint32_t) * ((size_t)memo->slot_mask + 1));
        memo->base = 0;
    }
}

void memo_free(struct memo *memo)
{
    account_free(memo->account, memo->blocks, sizeof(uint64_t) * memo->width * memo->capacity);
    account_free(memo->account, memo->slots, sizeof(uint32_t) * 3 * memo->capacity);
    memo->blocks = NULL;
    memo->slots = memo->links = NULL;
    memo->count = memo->capacity = memo->base = 0;
}
