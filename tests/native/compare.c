/*
 * compare.c: the engines against brute force, and against each other, on random histories.
 *
 * Usage: compare CASES SEED [OPERATIONS]
 * Up to 8 operations (the default), over random tables and registers, every engine is compared with
 * trying all orders. With more, at most 200, the histories are mostly right, some spoilt, and the
 * plain search (wgl.c) is what the others are compared with; past its budget nothing is. Each
 * engine is asked twice: with the table, and with states as they come (lazy.c). Histories
 * have crashed operations, failed ones, which are dropped, and equal times, which are concurrent.
 * Prints one line, "cases C invalid I undecided U mismatches M"; ends at the first mismatch, which
 * goes to stderr.
 * Exit status: 0 no mismatch, 1 some, 2 wrong usage. Needs no privileges.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "search.h"

#define BRUTE_MAX 8
#define OPERATIONS_MAX 200
#define STATES_MAX 6
#define TRANSITIONS_MAX 8
#define OPEN_AT_ONCE_MAX 6
#define BUDGET (UINT64_C(1) << 30)
#define LARGE_BUDGET 20000

/* Times are those of the clock, `NEVER` for what crashed; positions are what the engines get. */
struct instance {
    int32_t n, n_states, n_transitions, initial;
    int32_t call_time[OPERATIONS_MAX], return_time[OPERATIONS_MAX];
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

static void random_head(struct instance *in, uint64_t *seed)
{
    in->n_states = 1 + random_below(seed, STATES_MAX);
    in->n_transitions = 1 + random_below(seed, TRANSITIONS_MAX);
    in->initial = random_below(seed, in->n_states);
    random_table(in, seed);
}

/* Positions from times: at one time calls come before returns. */
static void place(struct instance *in)
{
    int32_t position = 0, last = 0;

    for (int32_t i = 0; i < in->n; i++) {
        last = in->call_time[i] > last ? in->call_time[i] : last;
        if (in->return_time[i] != SEARCH_NEVER && in->return_time[i] > last)
            last = in->return_time[i];
    }
    for (int32_t time = 0; time <= last; time++) {
        for (int32_t i = 0; i < in->n; i++)
            if (in->call_time[i] == time)
                in->inv[i] = position++;
        for (int32_t i = 0; i < in->n; i++)
            if (in->return_time[i] == time)
                in->ret[i] = position++;
    }
    for (int32_t i = 0; i < in->n; i++)
        if (in->return_time[i] == SEARCH_NEVER)
            in->ret[i] = SEARCH_NEVER;
}

/* Take failed operations out, one in ten: they never happened. */
static void drop_failed(struct instance *in, uint64_t *seed)
{
    int32_t kept = 0;

    for (int32_t i = 0; i < in->n; i++) {
        if (random_below(seed, 10) == 0)
            continue;
        in->call_time[kept] = in->call_time[i];
        in->return_time[kept] = in->return_time[i];
        in->transition[kept++] = in->transition[i];
    }
    in->n = kept;
}

static void random_small(struct instance *in, uint64_t *seed)
{
    int32_t free_positions[2 * BRUTE_MAX], time[2 * BRUTE_MAX];
    int32_t crash_of_10 = random_below(seed, 5), tie_of_10 = 3 * random_below(seed, 2);
    int32_t left;

    random_head(in, seed);
    in->n = random_below(seed, BRUTE_MAX + 1);
    left = 2 * in->n;
    for (int32_t i = 0; i < left; i++) {
        free_positions[i] = i;
        time[i] = i == 0 ? 0 : time[i - 1] + (random_below(seed, 10) >= tie_of_10);
    }
    for (int32_t i = 0; i < in->n; i++) {
        /* The earliest free position calls; a near one returns, so that order is not rare. */
        int32_t reach = 1 + random_below(seed, left - 1 < 5 ? left - 1 : 5);
        in->call_time[i] = time[free_positions[0]];
        in->return_time[i] = time[free_positions[reach]];
        for (int32_t j = reach; j < left - 1; j++)
            free_positions[j] = free_positions[j + 1];
        for (int32_t j = 0; j < left - 2; j++)
            free_positions[j] = free_positions[j + 1];
        left -= 2;
        if (random_below(seed, 10) < crash_of_10)
            in->return_time[i] = SEARCH_NEVER;
        in->transition[i] = random_below(seed, in->n_transitions);
    }
    drop_failed(in, seed);
    place(in);
}

/* Any transition that is enabled, or any at all. */
static int32_t enabled(const struct instance *in, int32_t state, uint64_t *seed)
{
    int32_t first = random_below(seed, in->n_transitions);
    for (int32_t k = 0; k < in->n_transitions; k++) {
        int32_t t = (first + k) % in->n_transitions;
        if (in->next[state * in->n_transitions + t] >= 0)
            return t;
    }
    return first;
}

/* An open operation takes effect: its transition is drawn only now, so that it fits. */
static void take_effect(struct instance *in, int32_t i, int32_t *state, uint64_t *seed)
{
    in->transition[i] = enabled(in, *state, seed);
    int32_t after = in->next[*state * in->n_transitions + in->transition[i]];
    *state = after >= 0 ? after : *state;
}

/* A run of a right object by a few clients, with one or two answers spoilt in half of the cases. */
static void random_large(struct instance *in, int32_t n_max, uint64_t *seed)
{
    int32_t open[OPEN_AT_ONCE_MAX], n_open = 0, begun = 0, time = 0, state;
    bool is_done[OPERATIONS_MAX] = {false};
    int32_t width = 1 + random_below(seed, OPEN_AT_ONCE_MAX), crashes = random_below(seed, 4);
    int32_t crash_of_100 = 5 * random_below(seed, 4), tie_of_10 = 3 * random_below(seed, 2);

    random_head(in, seed);
    /* Few are large: the time of a case is that of its size. */
    in->n = 1 + random_below(seed, random_below(seed, 16) == 0 ? n_max : 40);
    state = in->initial;
    for (int32_t i = 0; i < in->n; i++)
        in->return_time[i] = SEARCH_NEVER;
    while (begun < in->n || n_open > 0) {
        time += random_below(seed, 10) >= tie_of_10;
        if (begun < in->n && (n_open == 0 || (n_open < width && random_below(seed, 2) == 0))) {
            in->call_time[begun] = time;
            in->transition[begun] = random_below(seed, in->n_transitions);
            open[n_open++] = begun++;
            continue;
        }
        int32_t chosen = random_below(seed, n_open), i = open[chosen];
        bool is_crash = crashes > 0 && random_below(seed, 100) < crash_of_100;
        if (!is_done[i] && (!is_crash || random_below(seed, 2) == 0)) {
            take_effect(in, i, &state, seed);
            is_done[i] = true;
            if (random_below(seed, 2) == 0)
                continue;
        }
        crashes -= is_crash;
        if (!is_crash)
            in->return_time[i] = time;
        open[chosen] = open[--n_open];
    }
    for (int32_t k = random_below(seed, 4) - 1; k > 0; k--)
        in->transition[random_below(seed, in->n)] = random_below(seed, in->n_transitions);
    place(in);
}

/* Whether the operations outside `done` can follow in some order: all orders are tried. */
static bool brute_force(const struct instance *in, uint32_t done, int32_t state)
{
    int32_t first_return = SEARCH_NEVER;
    for (int32_t i = 0; i < in->n; i++)
        if (!(done >> i & 1) && in->return_time[i] < first_return)
            first_return = in->return_time[i];
    if (first_return == SEARCH_NEVER)
        return true;
    for (int32_t i = 0; i < in->n; i++) {
        if (done >> i & 1 || in->call_time[i] > first_return)
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
    bool done[OPERATIONS_MAX] = {false};
    int32_t state = in->initial, latest_call = 0;
    for (int32_t k = 0; k < length; k++) {
        int32_t i = order[k];
        if (i < 0 || i >= in->n || done[i] || in->return_time[i] < latest_call)
            return false;
        latest_call = in->call_time[i] > latest_call ? in->call_time[i] : latest_call;
        done[i] = true;
        state = in->next[state * in->n_transitions + in->transition[i]];
        if (state < 0)
            return false;
    }
    for (int32_t i = 0; i < in->n; i++)
        if (!done[i] && in->return_time[i] != SEARCH_NEVER)
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
            cut.call_time[cut.n] = in->call_time[i];
            cut.return_time[cut.n] = in->ret[i] > end ? SEARCH_NEVER : in->return_time[i];
            cut.transition[cut.n++] = in->transition[i];
        }
        if (brute_force(&cut, 0, cut.initial) != (before == 1))
            return false;
    }
    return true;
}

/* What one engine says; `failing` is -1 unless invalid, and nothing is compared without a verdict. */
struct answer {
    int32_t status, failing, length, order[OPERATIONS_MAX + 1];
    bool has_frontier;
};

/* Lazy states have 0 for the initial one: it changes its number with the first. */
static int32_t renumbered(const struct instance *in, int32_t state)
{
    return state == 0 ? in->initial : state == in->initial ? 0 : state;
}

static int32_t step(void *context, int32_t state, int32_t transition)
{
    const struct instance *in = context;
    int32_t after = in->next[renumbered(in, state) * in->n_transitions + transition];
    return after < 0 ? -1 : renumbered(in, after);
}

static void find_pure(const struct instance *in, uint8_t *pure)
{
    for (int32_t t = 0; t < in->n_transitions; t++) {
        pure[t] = 1;
        for (int32_t s = 0; s < in->n_states; s++) {
            int32_t after = in->next[s * in->n_transitions + t];
            pure[t] = pure[t] && (after < 0 || after == s);
        }
    }
}

static struct answer ask(struct instance *in, int32_t engine, bool is_lazy, uint64_t slice,
                         uint64_t budget)
{
    struct answer answer = {.status = SEARCH_MALFORMED, .failing = -1};
    int32_t error, operations[SEARCH_OPEN_MAX], state;
    uint32_t from = 0;
    uint8_t pure[TRANSITIONS_MAX];
    struct search_problem problem = {
        .n_operations = in->n, .inv = in->inv, .ret = in->ret, .transition = in->transition,
        .n_transitions = in->n_transitions, .engine = engine, .max_configurations = budget,
        .max_bytes = BUDGET};
    if (is_lazy) {
        find_pure(in, pure);
        problem.pure = pure;
        problem.step = step;
        problem.context = in;
    } else {
        problem.n_states = in->n_states;
        problem.initial = in->initial;
        problem.next = in->next;
    }
    struct search *search = search_open(&problem, &error);
    if (search == NULL)
        return answer;
    while ((answer.status = search_run(search, slice)) == SEARCH_PAUSED)
        ;
    answer.length = search_order(search, answer.order);
    if (answer.status == SEARCH_INVALID) {
        answer.failing = search_failing(search);
        answer.has_frontier = search_frontier(search, &from, &state, operations) >= 0;
    }
    search_close(search);
    return answer;
}

/* Whether every engine says what trying all orders says, and proves it. */
static bool agree_with_brute_force(struct instance *in, uint64_t slice, bool *is_valid)
{
    bool is_right = true;

    *is_valid = brute_force(in, 0, in->initial);
    for (int32_t each = 0; each < 2 * (SEARCH_WGL + 1); each++) {
        struct answer answer = ask(in, each / 2, each % 2 == 1, slice, BUDGET);
        if (*is_valid)
            is_right = is_right && answer.status == SEARCH_VALID &&
                       is_linearization(in, answer.order, answer.length);
        else
            is_right = is_right && answer.status == SEARCH_INVALID && answer.has_frontier &&
                       is_first_failure(in, answer.failing);
    }
    return is_right;
}

/* Whether every engine says what the plain search says, if that comes to an end. */
static bool agree_with_wgl(struct instance *in, uint64_t slice, bool *is_valid,
                           bool *is_decided)
{
    struct answer expected = ask(in, SEARCH_WGL, false, slice, LARGE_BUDGET);
    bool is_right = true;

    *is_valid = expected.status == SEARCH_VALID;
    *is_decided = *is_valid || expected.status == SEARCH_INVALID;
    if (!*is_decided)
        return true;
    if (*is_valid)
        is_right = is_linearization(in, expected.order, expected.length);
    for (int32_t each = 0; each < 2 * (SEARCH_BREADTH + 1); each++) {
        struct answer answer = ask(in, each / 2, each % 2 == 1, slice, BUDGET);
        is_right = is_right && answer.status == expected.status &&
                   answer.failing == expected.failing;
        if (*is_valid)
            is_right = is_right && is_linearization(in, answer.order, answer.length);
    }
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

/*
 * Depth first spends the crashed cas of 0 by 2 on the first read, then comes to the same state and
 * mask without. The crashed write of 2, which covers it, is invoked too late to make up for it.
 */
static struct instance spent_too_early(void)
{
    enum { CAS_0_2, WRITE_1, CAS_1_2, READ_2, WRITE_0, WRITE_2 };
    return (struct instance){
        .n = 8, .n_states = 3, .n_transitions = 6, .initial = 0,
        .transition = {CAS_0_2, WRITE_1, CAS_1_2, READ_2, WRITE_0, READ_2, WRITE_2, READ_2},
        .call_time = {0, 1, 2, 3, 7, 9, 11, 12},
        .return_time = {SEARCH_NEVER, 5, 6, 4, 8, 10, SEARCH_NEVER, 13},
        .next = {2, 1, -1, -1, 0, 2, /* from 0 */
                 -1, 1, 2, -1, 0, 2, -1, 1, -1, 2, 0, 2},
    };
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: compare CASES SEED [OPERATIONS]\n");
        return 2;
    }
    long cases = strtol(argv[1], NULL, 10), invalid = 0, undecided = 0, mismatches = 0;
    uint64_t seed = strtoull(argv[2], NULL, 10);
    long n_max = argc == 4 ? strtol(argv[3], NULL, 10) : BRUTE_MAX;
    if (n_max < 1 || n_max > OPERATIONS_MAX)
        return 2;
    struct instance known = spent_too_early();
    bool is_known_valid;
    place(&known);
    if (!agree_with_brute_force(&known, 1, &is_known_valid) || !is_known_valid) {
        show(&known, true);
        mismatches++;
    }
    for (long i = 0; i < cases && mismatches == 0; i++) {
        struct instance in;
        bool is_valid, is_decided = true, is_right;
        uint64_t slice = 1 + random_next(&seed) % 7;
        if (n_max <= BRUTE_MAX) {
            random_small(&in, &seed);
            is_right = agree_with_brute_force(&in, slice, &is_valid);
        } else {
            random_large(&in, (int32_t)n_max, &seed);
            is_right = agree_with_wgl(&in, 100 * slice, &is_valid, &is_decided);
        }
        invalid += is_decided && !is_valid;
        undecided += !is_decided;
        mismatches += !is_right;
        if (!is_right)
            show(&in, is_valid);
    }
    printf("cases %ld invalid %ld undecided %ld mismatches %ld\n", cases, invalid, undecided,
           mismatches);
    return mismatches != 0;
}
