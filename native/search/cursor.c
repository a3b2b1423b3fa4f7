/*
 * cursor.c: what is open at a return, and the moves between returns and between configurations.
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
 * Time: cursor_seek takes O(1) for each
 * event between the two returns; cursor_absorb O(mask words + open operations); cursor_branch at
 * most O(open operations + kinds) for all children of one configuration.
 */
#include <string.h>

#include "engines.h"

static uint64_t *block_count_word(const struct problem *problem, uint64_t *block, int32_t slot)
{
    return &block[1 + problem->mask_words + (uint32_t)slot / COUNTS_PER_WORD];
}

static uint32_t count_shift(int32_t slot)
{
    return 16 * ((uint32_t)slot % COUNTS_PER_WORD);
}

static void cursor_enter_calls(const struct problem *problem, struct cursor *cursor)
{
    int32_t e = cursor->at;
    for (int32_t i = problem->calls_start[e]; i < problem->calls_start[e + 1]; i++) {
        int32_t operation = problem->calls[i], slot = problem->slot[operation];
        cursor->holders[slot] = operation;
        cursor->open[slot / 64] |= UINT64_C(1) << (slot % 64);
    }
    for (int32_t kind = problem->kinds_start[e]; kind < problem->kinds_start[e + 1]; kind++)
        cursor->kinds[problem->kind_slot[kind]] = kind;
}

void cursor_advance(const struct problem *problem, struct cursor *cursor)
{
    int32_t slot = problem->slot[problem->return_operation[cursor->at]];
    cursor->open[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    cursor->at++;
    if (cursor->at < problem->n_returns)
        cursor_enter_calls(problem, cursor);
}

static void cursor_retreat(const struct problem *problem, struct cursor *cursor)
{
    int32_t e = cursor->at;
    if (e < problem->n_returns) {
        for (int32_t i = problem->calls_start[e + 1]; i-- > problem->calls_start[e];) {
            int32_t operation = problem->calls[i], slot = problem->slot[operation];
            cursor->open[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
            cursor->holders[slot] = problem->slot_before[operation];
        }
        for (int32_t kind = problem->kinds_start[e + 1]; kind-- > problem->kinds_start[e];)
            cursor->kinds[problem->kind_slot[kind]] = problem->kind_before[kind];
    }
    cursor->at = e - 1;
    int32_t slot = problem->slot[problem->return_operation[e - 1]];
    cursor->open[slot / 64] |= UINT64_C(1) << (slot % 64);
}

void cursor_seek(const struct problem *problem, struct cursor *cursor, int32_t e)
{
    while (cursor->at < e)
        cursor_advance(problem, cursor);
    while (cursor->at > e)
        cursor_retreat(problem, cursor);
}

int cursor_open(struct problem *problem, struct cursor *cursor)
{
    cursor->holders = problem_allocate(problem, problem->n_slots, sizeof(int32_t));
    cursor->open = problem_allocate(problem, problem->mask_words, sizeof(uint64_t));
    cursor->kinds = problem_allocate(problem, problem->n_kind_slots, sizeof(int32_t));
    if (cursor->holders == NULL || cursor->open == NULL || cursor->kinds == NULL)
        return SEARCH_NO_MEMORY;
    for (int32_t slot = 0; slot < problem->n_kind_slots; slot++)
        cursor->kinds[slot] = -1;
    cursor->at = 0;
    if (problem->n_returns > 0)
        cursor_enter_calls(problem, cursor);
    return SEARCH_OK;
}

int32_t cursor_absorb(const struct problem *problem, const struct cursor *cursor, uint64_t *block,
                      int32_t *absorbed)
{
    int32_t n_absorbed = 0, state = block_state(block);
    for (uint32_t word = 0; word < problem->mask_words; word++) {
        uint64_t left = cursor->open[word] & ~block[1 + word];
        for (; left != 0; left &= left - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(left);
            int32_t operation = cursor->holders[64 * word + bit];
            int32_t t = problem->transition[operation];
            if (!problem->pure[t] || problem_next(problem, state, t) < 0)
                continue;
            block[1 + word] |= UINT64_C(1) << bit;
            absorbed[n_absorbed++] = operation;
        }
    }
    return n_absorbed;
}

uint32_t cursor_pass_return(const struct problem *problem, const struct cursor *cursor,
                            uint64_t *block)
{
    int32_t e = block_return(block);
    int32_t done = problem->slot[problem->return_operation[e]];
    uint32_t weight = 0;
    block[1 + done / 64] &= ~(UINT64_C(1) << (done % 64));
    for (int32_t slot = 0; slot < problem->n_kind_slots; slot++) {
        if (cursor->kinds[slot] < 0 || problem->kind_expiry[cursor->kinds[slot]] != e)
            continue;
        uint64_t *word = block_count_word(problem, block, slot);
        uint32_t used = (uint32_t)(*word >> count_shift(slot) & 0xFFFF);
        weight += used * problem->weight[problem->kind_transition[cursor->kinds[slot]]];
        *word &= ~(UINT64_C(0xFFFF) << count_shift(slot));
    }
    block[0] = block_word(e + 1, block_state(block));
    return weight;
}

/* Whether the operation that returns next is enabled after one that leads to `state`. */
static bool is_direct(const struct problem *problem, const struct cursor *cursor, int32_t state)
{
    int32_t forced = problem->return_operation[cursor->at];
    return problem_next(problem, state, problem->transition[forced]) >= 0;
}

/* Whether transition t, which leads to `after`, makes use of the crashed operation before it. */
static bool is_useful(const struct problem *problem, int32_t origin, int32_t t, int32_t after)
{
    return origin == ORIGIN_NONE || problem_next(problem, origin, t) != after;
}

/* What a branch may be. */
struct wanted {
    int32_t origin; /* where the configuration came from by a crashed operation, if it owes */
    bool direct;    /* whether the forced operation is to be enabled then */
};

/* Use the oldest unused operation of the kind in `slot`. Returns it, or -1 where it cannot help. */
static int32_t branch_crashed(const struct problem *problem, const struct cursor *cursor,
                              uint64_t *child, int32_t slot, struct wanted wanted)
{
    int32_t kind = cursor->kinds[slot], e = cursor->at, state = block_state(child);
    if (kind < 0 || problem->kind_expiry[kind] < e)
        return -1;
    int32_t t = problem->kind_transition[kind];
    int32_t after = problem_next(problem, state, t);
    if (after < 0 || after == state || problem_need(problem, after) < e ||
        !is_useful(problem, wanted.origin, t, after))
        return -1;
    uint64_t *word = block_count_word(problem, child, slot);
    int32_t used = (int32_t)(*word >> count_shift(slot) & 0xFFFF);
    int32_t at = problem->kind_start[kind] + used;
    if (at >= problem->kind_start[kind + 1] ||
        problem->birth[problem->kind_operations[at]] > e ||
        is_direct(problem, cursor, after) != wanted.direct)
        return -1;
    *word += UINT64_C(1) << count_shift(slot);
    child[0] = block_word(e, after);
    return problem->kind_operations[at];
}

/* Linearize the open ok operation in `slot`. Returns it, or -1 where it is refused or absorbed. */
static int32_t branch_open(const struct problem *problem, const struct cursor *cursor,
                           uint64_t *child, int32_t slot, struct wanted wanted)
{
    int32_t operation = cursor->holders[slot], t = problem->transition[operation];
    bool is_forced = operation == problem->return_operation[cursor->at];
    if (problem->pure[t] && !is_forced)
        return -1;
    int32_t after = problem_next(problem, block_state(child), t);
    if (after < 0 || !is_useful(problem, wanted.origin, t, after) ||
        (!is_forced && is_direct(problem, cursor, after) != wanted.direct))
        return -1;
    child[1 + slot / 64] |= UINT64_C(1) << (slot % 64);
    child[0] = block_word(cursor->at, after);
    return operation;
}

/* The first open operation from `slot` on that is not linearized, or n_slots. */
static int32_t next_open(const struct problem *problem, const struct cursor *cursor,
                         const uint64_t *block, int32_t slot)
{
    uint32_t word = (uint32_t)slot / 64;
    uint64_t wanted = ~UINT64_C(0) << (slot % 64);
    for (; word < problem->mask_words; word++, wanted = ~UINT64_C(0)) {
        uint64_t left = cursor->open[word] & ~block[1 + word] & wanted;
        if (left != 0)
            return (int32_t)(64 * word) + __builtin_ctzll(left);
    }
    return problem->n_slots;
}

/*
 * One operation from *place on, or -1: of the open ok ones by slot, then of the crashed ones by
 * slot of kinds. The place after it is left in *place.
 */
static int32_t branch_from(const struct problem *problem, const struct cursor *cursor,
                           const uint64_t *block, uint64_t *child, int32_t *place,
                           struct wanted wanted)
{
    int32_t n_slots = problem->n_slots, n = n_slots + problem->n_kind_slots, operation = -1;
    int32_t forced = problem->slot[problem->return_operation[cursor->at]];
    while (operation < 0 && *place < n_slots) {
        int32_t slot = next_open(problem, cursor, block, *place);
        *place = slot < n_slots ? slot + 1 : n_slots;
        if (slot < n_slots && slot != forced)
            operation = branch_open(problem, cursor, child, slot, wanted);
    }
    for (; operation < 0 && *place < n; ++*place)
        operation = branch_crashed(problem, cursor, child, *place - n_slots, wanted);
    return operation;
}

int32_t cursor_branch(const struct problem *problem, const struct cursor *cursor,
                      const uint64_t *block, int32_t origin, uint32_t *position, uint64_t *child)
{
    uint32_t n = (uint32_t)(problem->n_slots + problem->n_kind_slots);
    struct wanted wanted = {origin, true};
    int32_t operation = -1;
    memcpy(child, block, sizeof(uint64_t) * problem->width);
    if (*position == 0) {
        int32_t forced = problem->slot[problem->return_operation[cursor->at]];
        *position = 1;
        operation = branch_open(problem, cursor, child, forced, wanted);
    }
    for (uint32_t first = 1; operation < 0 && first <= 1 + n; first += n) {
        int32_t place = (int32_t)(*position - first);
        wanted.direct = first == 1;
        if (place >= (int32_t)n)
            continue;
        operation = branch_from(problem, cursor, block, child, &place, wanted);
        *position = first + (uint32_t)place;
    }
    return operation;
}
