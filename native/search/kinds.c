/*
 * kinds.c: which crashed operations can matter, and until when: their needs, expiries and slots.
 *
 * Rule (d). A transition is sensitive unless it is total and constant, or total and the identity.
 * need[s] is the last return of an ok sensitive operation enabled in s, closed under crashed
 * sensitive transitions s -> d: need[s] >= need[d]. A crashed operation that leads to d while every
 * return up to need[d] is past can be erased from a linearization, and so can what follows it up to
 * the next constant: whatever follows is constant, the identity, or sensitive and crashed.
 * "Partial" instead of "sensitive" is wrong: it gives false invalids on random tables.
 *
 * Time: O(states * transitions * depth of the closure) for a table, O(n + states + transitions) for
 * a register. Of lazy states nothing is known: a crashed operation can matter until the end.
 */
#include <string.h>

#include "problem.h"

/* Which transitions are pure, and which are total and constant or the identity: not sensitive. */
static void problem_classify(struct problem *problem, uint8_t *sensitive)
{
    for (int32_t t = 0; t < problem->n_transitions; t++) {
        bool is_total = true, is_constant = true, is_identity = true;
        int32_t first = problem_next(problem, 0, t);
        for (int32_t state = 0; state < problem->n_states; state++) {
            int32_t after = problem_next(problem, state, t);
            is_total = is_total && after >= 0;
            is_constant = is_constant && after == first;
            is_identity = is_identity && (after < 0 || after == state);
        }
        problem->pure[t] = is_identity;
        sensitive[t] = !(is_total && (is_constant || is_identity));
    }
}

/* The last return that can need each state: a sensitive ok operation is enabled there. */
static void problem_needs(struct problem *problem, const uint8_t *sensitive,
                          const uint8_t *crashed, const int32_t *last_return)
{
    bool has_changed = true;

    for (int32_t state = 0; state < problem->n_states; state++) {
        problem->need[state] = -1;
        for (int32_t t = 0; t < problem->n_transitions; t++)
            if (sensitive[t] && last_return[t] > problem->need[state] &&
                problem_next(problem, state, t) >= 0)
                problem->need[state] = last_return[t];
    }
    while (has_changed) {
        has_changed = false;
        for (int32_t t = 0; t < problem->n_transitions; t++) {
            if (!sensitive[t] || !crashed[t])
                continue;
            for (int32_t state = 0; state < problem->n_states; state++) {
                int32_t after = problem_next(problem, state, t);
                if (after < 0 || problem->need[after] <= problem->need[state])
                    continue;
                problem->need[state] = problem->need[after];
                has_changed = true;
            }
        }
    }
}

/*
 * The same for a register, in linear time: reads and compare-and-sets are what is sensitive. From
 * the last return backwards, the first need that a state gets is its greatest.
 *
 * heads: by state, scratch. links, stack: by transition and by state, scratch.
 */
static void register_needs(struct problem *problem, const uint8_t *crashed, int32_t *heads,
                           int32_t *links, int32_t *stack)
{
    for (int32_t state = 0; state < problem->n_states; state++)
        problem->need[state] = heads[state] = -1;
    for (int32_t t = 0; t < problem->n_transitions; t++) {
        if (!crashed[t] || problem->want[t] < 0 || problem->make[t] < 0)
            continue;
        links[t] = heads[problem->make[t]];
        heads[problem->make[t]] = t;
    }
    for (int32_t e = problem->n_returns; e-- > 0;) {
        int32_t n_stack = 0;
        int32_t state = problem->want[problem->transition[problem->return_operation[e]]];
        if (state < 0 || problem->need[state] >= 0)
            continue;
        problem->need[state] = e;
        stack[n_stack++] = state;
        while (n_stack > 0) {
            for (int32_t t = heads[stack[--n_stack]]; t >= 0; t = links[t]) {
                if (problem->need[problem->want[t]] >= 0)
                    continue;
                problem->need[problem->want[t]] = e;
                stack[n_stack++] = problem->want[t];
            }
        }
    }
}

/* The last return at which transition t, crashed, can matter, or -1. */
static int32_t problem_expiry(const struct problem *problem, int32_t t)
{
    int32_t expiry = -1;
    if (problem->lazy != NULL)
        return problem->pure[t] ? -1 : problem->n_returns - 1;
    if (problem->next == NULL) {
        int32_t want = problem->want[t], make = problem->make[t];
        bool changes = make >= 0 && want != make && problem->n_states > 1;
        return changes ? problem->need[make] : -1;
    }
    for (int32_t state = 0; state < problem->n_states; state++) {
        int32_t after = problem_next(problem, state, t);
        if (after >= 0 && after != state && problem->need[after] > expiry)
            expiry = problem->need[after];
    }
    return expiry;
}

/* Gather the useful crashed operations by kind. */
static void problem_kinds(struct problem *problem, const int32_t *expiry, int32_t *kind_of,
                          int32_t *counts)
{
    int32_t total = 0;

    for (int32_t i = 0; i < problem->n_crashed; i++) {
        int32_t operation = problem->crashed[i], t = problem->transition[operation];
        if (problem->birth[operation] > expiry[t])
            continue;
        if (kind_of[t] < 0) {
            kind_of[t] = problem->n_kinds++;
            problem->kind_transition[kind_of[t]] = t;
            problem->kind_expiry[kind_of[t]] = expiry[t];
        }
        if (counts[kind_of[t]] == (int32_t)COUNT_MAX)
            problem->is_capped = true;
        else
            counts[kind_of[t]]++;
    }
    for (int32_t kind = 0; kind < problem->n_kinds; kind++) {
        problem->kind_start[kind] = total;
        total += counts[kind];
        counts[kind] = 0;
    }
    problem->kind_start[problem->n_kinds] = total;
    for (int32_t i = 0; i < problem->n_crashed; i++) {
        int32_t operation = problem->crashed[i];
        int32_t kind = kind_of[problem->transition[operation]];
        if (kind < 0 || problem->birth[operation] > problem->kind_expiry[kind] ||
            counts[kind] == problem->kind_start[kind + 1] - problem->kind_start[kind])
            continue;
        problem->kind_operations[problem->kind_start[kind] + counts[kind]++] = operation;
    }
}

/* Where a kind always leads, or -1. */
static int32_t kind_target(const struct problem *problem, int32_t kind, bool *is_total)
{
    int32_t t = problem->kind_transition[kind], target = -1;
    *is_total = true;
    if (problem->want != NULL) {
        *is_total = problem->want[t] < 0;
        return problem->make[t];
    }
    for (int32_t state = 0; state < problem->n_states; state++) {
        int32_t after = problem_next(problem, state, t);
        *is_total = *is_total && after >= 0;
        if (after >= 0 && target >= 0 && after != target)
            return -1;
        target = after >= 0 ? after : target;
    }
    return target;
}

/*
 * Find what covers what (memo.h, rule (i)) and give these kinds the first slots, in `slot_of`, else
 * -1. Where they are more than COVER_SLOTS_MAX there is no rule (i).
 */
static void problem_covers(struct problem *problem, int32_t *slot_of, int32_t *coverer_of)
{
    struct cover *cover = &problem->cover;
    bool is_total;

    for (int32_t state = 0; state < problem->n_states; state++)
        coverer_of[state] = -1;
    for (int32_t kind = 0; kind < problem->n_kinds; kind++) {
        int32_t target = kind_target(problem, kind, &is_total);
        slot_of[kind] = -1;
        if (target >= 0 && is_total && coverer_of[target] < 0)
            coverer_of[target] = kind;
    }
    for (int32_t kind = 0; kind < problem->n_kinds; kind++) {
        int32_t target = kind_target(problem, kind, &is_total);
        int32_t coverer = target >= 0 ? coverer_of[target] : -1;
        if (coverer < 0 || coverer == kind)
            continue;
        if (cover->n_slots + 2 > COVER_SLOTS_MAX) {
            memset(cover, 0, sizeof *cover);
            for (int32_t each = 0; each < problem->n_kinds; each++)
                slot_of[each] = -1;
            return;
        }
        if (slot_of[coverer] < 0) {
            slot_of[coverer] = cover->n_slots++;
            cover->coverer[slot_of[coverer]] = -1;
        }
        int32_t slot = slot_of[kind] = cover->n_slots++;
        cover->coverer[slot] = slot_of[coverer];
        cover->covered[slot / (int32_t)COUNTS_PER_WORD] |=
            UINT64_C(0x8000) << 16 * ((uint32_t)slot % COUNTS_PER_WORD);
        problem->weight[problem->kind_transition[coverer]] = 2;
    }
}

/* Give each kind the lowest slot that no other kind can need while it does. */
static int problem_kind_slots(struct problem *problem, const int32_t *slot_of)
{
    int32_t occupant[SEARCH_KINDS_MAX];
    int32_t e = 0;

    problem->n_kind_slots = problem->cover.n_slots;

    for (int32_t kind = 0; kind < problem->n_kinds; kind++) {
        int32_t born = problem->birth[problem->kind_operations[problem->kind_start[kind]]];
        int32_t slot = slot_of[kind] >= 0 ? slot_of[kind] : problem->cover.n_slots;
        while (slot_of[kind] < 0 && slot < problem->n_kind_slots &&
               problem->kind_expiry[occupant[slot]] >= born)
            slot++;
        if (slot == SEARCH_KINDS_MAX)
            return SEARCH_WIDE;
        bool is_first = slot == problem->n_kind_slots || slot_of[kind] >= 0;
        problem->kind_before[kind] = is_first ? -1 : occupant[slot];
        if (slot == problem->n_kind_slots)
            problem->n_kind_slots++;
        occupant[slot] = kind;
        problem->kind_slot[kind] = slot;
        while (e <= born)
            problem->kinds_start[e++] = kind;
    }
    while (e <= problem->n_returns)
        problem->kinds_start[e++] = problem->n_kinds;
    problem->width += ((uint32_t)problem->n_kind_slots + COUNTS_PER_WORD - 1) / COUNTS_PER_WORD;
    return SEARCH_OK;
}

static void problem_pure(struct problem *problem, uint8_t *sensitive)
{
    if (problem->lazy != NULL)
        memcpy(problem->pure, problem->lazy_pure, (size_t)problem->n_transitions);
    else if (problem->next != NULL)
        problem_classify(problem, sensitive);
    for (int32_t t = 0; problem->want != NULL && t < problem->n_transitions; t++)
        problem->pure[t] = problem->make[t] < 0 || problem->make[t] == problem->want[t];
}

int problem_crashes(struct problem *problem)
{
    int64_t n_transitions = problem->n_transitions, n_states = problem->n_states;
    uint8_t *sensitive = problem_allocate(problem, n_transitions, 1);
    if (sensitive == NULL)
        return SEARCH_NO_MEMORY;
    problem_pure(problem, sensitive);
    if (problem->n_crashed == 0)
        return SEARCH_OK; /* no kinds: what is by kind stays zeros */
    uint8_t *crashed = problem_allocate(problem, n_transitions, 1);
    int32_t *scratch = problem_allocate(problem, 4 * n_transitions, sizeof(int32_t));
    int32_t *of_states = problem_allocate(problem, 2 * n_states, sizeof(int32_t));
    problem->weight = problem_allocate(problem, n_transitions, 1);
    if (crashed == NULL || scratch == NULL || of_states == NULL || problem->weight == NULL)
        return SEARCH_NO_MEMORY;
    int32_t *last_return = scratch, *expiry = scratch + n_transitions;
    int32_t *kind_of = expiry + n_transitions, *counts = kind_of + n_transitions;

    for (int64_t t = 0; t < n_transitions; t++)
        last_return[t] = kind_of[t] = -1;
    for (int32_t i = 0; i < problem->n_crashed; i++)
        crashed[problem->transition[problem->crashed[i]]] = 1;
    if (problem->next != NULL) {
        for (int32_t e = 0; e < problem->n_returns; e++)
            last_return[problem->transition[problem->return_operation[e]]] = e;
        problem_needs(problem, sensitive, crashed, last_return);
    } else if (problem->want != NULL) {
        register_needs(problem, crashed, of_states, expiry, of_states + n_states);
    }
    for (int32_t t = 0; t < problem->n_transitions; t++)
        expiry[t] = crashed[t] ? problem_expiry(problem, t) : -1;
    problem_kinds(problem, expiry, kind_of, counts);
    int32_t *slot_of = problem_allocate(problem, problem->n_kinds, sizeof(int32_t));
    if (slot_of == NULL)
        return SEARCH_NO_MEMORY;
    memset(problem->weight, 1, (size_t)n_transitions);
    memset(slot_of, 0xFF, sizeof(int32_t) * (size_t)problem->n_kinds);
    if (problem->lazy == NULL && problem->n_kinds > 0)
        problem_covers(problem, slot_of, of_states);
    return problem_kind_slots(problem, slot_of);
}
