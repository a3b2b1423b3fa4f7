/*
 * compare.c: the search against brute force on random histories over random tables.
 *
 * Usage: compare CASES SEED
 * Prints one line, "cases C invalid I mismatches M", and the first mismatch on stderr.
 * Exit status: 0 no mismatch, 1 some, 2 wrong usage. Needs no privileges.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "search.h"

#define OPERATIONS_MAX 8
#define STATES_MAX 6
#define TRANSITIONS_MAX 8

struct instance {
    int32_t n, n_states, n_transitions, initial;
    int32_t inv[OPERATIONS_MAX], ret[OPERATIONS_MAX], transition[OPERATIONS_MAX];
    int32_t next[STATES_MAX * TRANSITIONS_MAX];
};

/* splitmix64 */
static uint64_t random_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static int32_t random_below(uint64_t *seed, int32_t n)
{
    return (int32_t)(random_next(seed) % (uint64_t)n);
}

/* Reads, writes and compare-and-sets of a register in turn. */
static int32_t register_cell(const struct instance *in, int32_t state, int32_t t)
{
    int32_t value = t / 3 % in->n_states;
    if (t % 3 == 0)
        return state == value ? state : -1;
    if (t % 3 == 1)
        return value;
    return state == value ? (value + 1 + t / 6) % in->n_states : -1;
}

static void random_table(struct instance *in, uint64_t *seed)
{
    bool is_register = random_below(seed, 3) == 0;
    for (int32_t t = 0; t < in->n_transitions; t++) {
        int32_t kind = random_below(seed, 5), constant = random_below(seed, in->n_states);
        for (int32_t s = 0; s < in->n_states; s++) {
            int32_t *cell = &in->next[s * in->n_transitions + t];
            bool is_refused = random_below(seed, 2) == 0;
            if (is_register)
                *cell = register_cell(in, s, t);
            else if (kind == 0) /* pure */
                *cell = is_refused ? -1 : s;
            else if (kind == 1) /* constant */
                *cell = constant;
            else if (kind == 2) /* total */
                *cell = random_below(seed, in->n_states);
            else
                *cell = is_refused ? -1 : random_below(seed, in->n_states);
        }
    }
}

static void random_instance(struct instance *in, uint64_t *seed)
{
    int32_t free_positions[2 * OPERATIONS_MAX];
    int32_t crash_of_10 = random_below(seed, 5);
    int32_t left;

    in->n = random_below(seed, OPERATIONS_MAX + 1);
    in->n_states = 1 + random_below(seed, STATES_MAX);
    in->n_transitions = 1 + random_below(seed, TRANSITIONS_MAX);
    in->initial = random_below(seed, in->n_states);
    random_table(in, seed);
    left = 2 * in->n;
    for (int32_t i = 0; i < left; i++)
        free_positions[i] = i;
    for (int32_t i = 0; i < in->n; i++) {
        /* The earliest free position calls; a near one returns, so that order is not rare. */
        int32_t reach = 1 + random_below(seed, left - 1 < 5 ? left - 1 : 5);
        in->inv[i] = free_positions[0];
        in->ret[i] = free_positions[reach];
        for (int32_t j = reach; j < left - 1; j++)
            free_positions[j] = free_positions[j + 1];
        for (int32_t j = 0; j < left - 2; j++)
            free_positions[j] = free_positions[j + 1];
        left -= 2;
        if (random_below(seed, 10) < crash_of_10)
            in->ret[i] = SEARCH_NEVER;
        in->transition[i] = random_below(seed, in->n_transitions);
    }
}

/* Whether the operations outside `done` can follow in some order: all orders are tried. */
static bool brute_force(const struct instance *in, uint32_t done, int32_t state)
{
    int32_t first_return = SEARCH_NEVER;
    for (int32_t i = 0; i < in->n; i++)
        if (!(done >> i & 1) && in->ret[i] < first_return)
            first_return = in->ret[i];
    if (first_return == SEARCH_NEVER)
        return true;
    for (int32_t i = 0; i < in->n; i++) {
        if (done >> i & 1 || in->inv[i] > first_return)
            continue;
        int32_t after = in->next[state * in->n_transitions + in->transition[i]];
        if (after >= 0 && brute_force(in, done | UINT32_C(1) << i, after))
            return true;
    }
    return false;
}

/* Whether `order` is a linearization of the whole instance. */
static bool is_linearization(const struct instance *in, const int32_t *order, int32_t length)
{
    uint32_t done = 0;
    int32_t state = in->initial;
    for (int32_t k = 0; k < length; k++) {
        int32_t i = order[k];
        if (i < 0 || i >= in->n || done >> i & 1)
            return false;
        for (int32_t j = 0; j < in->n; j++)
            if (!(done >> j & 1) && in->ret[j] < in->inv[i])
                return false;
        done |= UINT32_C(1) << i;
        state = in->next[state * in->n_transitions + in->transition[i]];
        if (state < 0)
            return false;
    }
    for (int32_t i = 0; i < in->n; i++)
        if (!(done >> i & 1) && in->ret[i] != SEARCH_NEVER)
            return false;
    return true;
}

/* Whether the failing return is the first at which the history cut there is invalid. */
static bool is_first_failure(const struct instance *in, int32_t failing)
{
    if (failing < 0 || failing >= in->n)
        return false;
    for (int32_t before = 0; before < 2; before++) {
        struct instance cut = *in;
        int32_t end = in->ret[failing] - before;
        cut.n = 0;
        for (int32_t i = 0; i < in->n; i++) {
            if (in->inv[i] > end)
                continue;
            cut.inv[cut.n] = in->inv[i];
            cut.ret[cut.n] = in->ret[i] > end ? SEARCH_NEVER : in->ret[i];
            cut.transition[cut.n++] = in->transition[i];
        }
        if (brute_force(&cut, 0, cut.initial) != (before == 1))
            return false;
    }
    return true;
}

static bool agrees(const struct instance *in, bool expected, int32_t engine, uint64_t slice)
{
    int32_t error, order[OPERATIONS_MAX + 1], operations[SEARCH_OPEN_MAX], state;
    struct search *search =
        search_open(in->n, in->inv, in->ret, in->transition, in->n_states, in->n_transitions,
                    in->next, in->initial, UINT64_C(1) << 30, UINT64_C(1) << 30, engine, &error);
    if (search == NULL)
        return false;
    int32_t status;
    uint32_t from = 0;
    while ((status = search_run(search, slice)) == SEARCH_PAUSED)
        ;
    bool is_right = status == (expected ? SEARCH_VALID : SEARCH_INVALID);
    int32_t length = search_order(search, order);
    if (expected)
        is_right = is_right && is_linearization(in, order, length);
    else
        is_right = is_right && is_first_failure(in, search_failing(search)) &&
                   search_frontier(search, &from, &state, operations) >= 0;
    search_close(search);
    return is_right;
}

static void show(const struct instance *in, bool expected)
{
    fprintf(stderr, "expected %s, initial %d, states %d\n", expected ? "valid" : "invalid",
            (int)in->initial, (int)in->n_states);
    for (int32_t i = 0; i < in->n; i++) {
        fprintf(stderr, "  %d..%d:", (int)in->inv[i], (int)in->ret[i]);
        for (int32_t s = 0; s < in->n_states; s++)
            fprintf(stderr, " %d", (int)in->next[s * in->n_transitions + in->transition[i]]);
        fprintf(stderr, "\n");
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: compare CASES SEED\n");
        return 2;
    }
    long cases = strtol(argv[1], NULL, 10), invalid = 0, mismatches = 0;
    uint64_t seed = strtoull(argv[2], NULL, 10);
    for (long i = 0; i < cases; i++) {
        struct instance in;
        random_instance(&in, &seed);
        bool expected = brute_force(&in, 0, in.initial);
        invalid += !expected;
        uint64_t slice = 1 + random_next(&seed) % 7;
        for (int32_t engine = SEARCH_SCHEDULE; engine <= SEARCH_WGL; engine++) {
            if (agrees(&in, expected, engine, slice))
                continue;
            if (mismatches++ == 0)
                show(&in, expected);
        }
    }
    printf("cases %ld invalid %ld mismatches %ld\n", cases, invalid, mismatches);
    return mismatches != 0;
}
