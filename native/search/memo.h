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
 *
 * Ownership: a memo owns its blocks and slots until memo_free.
 * Limits: MEMO_BLOCKS_MAX blocks, COUNT_MAX in a count. Time: a look-up is O(width) expected, times
 * the number of blocks of one key. Memory: 8 * width + 12 bytes a block, doubled when it is full.
 */
#ifndef DISSEVER_MEMO_H
#define DISSEVER_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account.h"

#define MEMO_BLOCKS_MAX (UINT32_C(1) << 30)
#define COUNT_MAX 32767u
#define COUNTS_PER_WORD 4u
#define COVER_SLOTS_MAX 64

/* Which kinds of crashed operations cover which, by slot of kinds: rule (i). */
struct cover {
    int32_t n_slots; /* the first slots, which no two kinds share; 0: no rule (i) */
    int32_t coverer[COVER_SLOTS_MAX]; /* the slot of what covers it, or -1 */
    uint64_t covered[COVER_SLOTS_MAX / COUNTS_PER_WORD]; /* the guard bits of those covered */
};

struct memo {
    struct account *account;
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

enum memo_answer {
    MEMO_NEW,  /* it was stored */
    MEMO_SEEN, /* a stored block dominates it */
    MEMO_FULL  /* past a limit: nothing was changed */
};

static inline uint64_t *memo_block(const struct memo *memo, uint32_t number)
{
    return memo->blocks + (size_t)number * memo->width;
}

/*
 * Store `block` unless a stored one dominates it. `replace` lets it take the place of one that it
 * dominates; without, block numbers stay in order of insertion.
 */
enum memo_answer memo_add(struct memo *memo, const uint64_t *block, bool replace);

/* Forget every block in constant time: their slots count as free from now on. */
void memo_clear(struct memo *memo);

void memo_free(struct memo *memo);

#endif
