/*
 * cursor.h: what is open at a return, and the moves from a configuration there.
 *
 * A configuration is a block of words (memo.h). Rule (b): nothing is linearized before a return
 * forces it, since it can always be moved to just before the next return. Rule (c): a pure
 * operation that is open and enabled is linearized at once, without a branch. A write that happens
 * to write the current value is not pure: it may be needed later.
 *
 * Rule (h). After a crashed operation from s to d something must use d: a pure operation is
 * absorbed, or what comes next leads elsewhere from d than from s. Else, or where nothing comes,
 * the linearization without the crashed operation is one too: of those from a configuration, one
 * with the fewest crashed operations is enough. Until then the configuration owes, and `origin` is
 * s. A memo need not tell what owes: a completion that is refused here is one of the configuration
 * at s, which has the same operations linearized and fewer crashed ones used.
 *
 * Ownership: the arrays of a cursor belong to the problem. Time: cursor_seek takes O(1) for each
 * event between the two returns; cursor_absorb O(mask words + open operations); cursor_branch at
 * most O(open operations + kinds) for all children of one configuration.
 */
#ifndef DISSEVER_CURSOR_H
#define DISSEVER_CURSOR_H

#include "problem.h"

#define ORIGIN_NONE (-1) /* the configuration owes nothing: rule (h) */

struct cursor {
    int32_t at;       /* the next return */
    int32_t *holders; /* by slot: the operation that held it last */
    uint64_t *open;   /* by slot: whether it is held */
    int32_t *kinds;   /* by slot of kinds: the kind that held it last, or -1 */
};

static inline int32_t block_return(const uint64_t *block)
{
    return (int32_t)(block[0] >> 32);
}

static inline int32_t block_state(const uint64_t *block)
{
    return (int32_t)(block[0] & UINT32_MAX);
}

static inline uint64_t block_word(int32_t at, int32_t state)
{
    return (uint64_t)(uint32_t)at << 32 | (uint32_t)state;
}

static inline bool block_has(const uint64_t *block, int32_t slot)
{
    return (block[1 + slot / 64] >> (slot % 64) & 1) != 0;
}

/* Stand before return 0. Returns SEARCH_OK or SEARCH_NO_MEMORY. */
int cursor_open(struct problem *problem, struct cursor *cursor);

/* Go one return on; there is one. */
void cursor_advance(const struct problem *problem, struct cursor *cursor);

/* Go to return e, forwards or backwards. */
void cursor_seek(const struct problem *problem, struct cursor *cursor, int32_t e);

/*
 * Linearize every open pure operation that is enabled in `block`, in place. They are listed in
 * `absorbed`, with room for n_slots. Returns how many.
 */
int32_t cursor_absorb(const struct problem *problem, const struct cursor *cursor, uint64_t *block,
                      int32_t *absorbed);

/* Whether the operation that returns next is linearized. */
static inline bool cursor_is_forced_done(const struct problem *problem, const uint64_t *block)
{
    return block_has(block, problem->slot[problem->return_operation[block_return(block)]]);
}

/*
 * Pass the next return: give back its slot, and the counts of kinds that nothing can need now.
 * Returns the weight of these.
 */
uint32_t cursor_pass_return(const struct problem *problem, const struct cursor *cursor,
                            uint64_t *block);

/*
 * The next child of `block`, from *position on (0 at first): the forced operation, then what
 * enables it (ok, then crashed), then the others. To spend crashed operations on the return at
 * hand, and not to hide open ones needlessly, decides nearly every valid history at once. Returns
 * the operation linearized, or -1 when there is no more.
 */
int32_t cursor_branch(const struct problem *problem, const struct cursor *cursor,
                      const uint64_t *block, int32_t origin, uint32_t *position, uint64_t *child);

/* The origin of a child of `block` by `operation`, unless it absorbs anything. */
static inline int32_t cursor_branch_origin(const struct problem *problem, const uint64_t *block,
                             int32_t operation)
{
    return problem->slot[operation] < 0 ? block_state(block) : ORIGIN_NONE;
}

#endif
