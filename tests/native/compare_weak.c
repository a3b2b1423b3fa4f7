/*
 * compare_weak.c: weak.h against all orders of small random histories, by axioms.h.
 *
 * Usage: compare_weak CASES SEED [OPERATIONS_MAX]
 * CASES histories of lists and as many of registers, of up to OPERATIONS_MAX transactions (6; at
 * most 8), each judged at every level, with and without sessions. What is valid must come with an
 * order that fits the axioms; what is invalid with an error or a closed walk whose steps follow
 * from the reads. Of every eighth history it is also asked whether the axioms of serializability and
 * snapshot isolation say what enumerate.h says, and whether each level implies the next.
 * Prints "RULES LEVEL SESSIONS cases C invalid I walks W ambiguous A mismatches M" for each. The first
 * mismatch goes to stderr, as JSON lines.
 * Exit status: 0 no mismatch, 1 some, 2 wrong usage. Needs no privileges.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "axioms.h"
#include "enumerate.h"
#include "weak.h"

#define ENUMERATED 8 /* every so many histories */
#define JUDGES 5

static const char *const LEVELS[] = {"read-committed", "read-atomic", "causal"};
static const struct weak_options OPTIONS[JUDGES] = {
    {WEAK_READ_COMMITTED, 0, 100, 1000000}, {WEAK_READ_COMMITTED, 1, 100, 1000000},
    {WEAK_READ_ATOMIC, 0, 100, 1000000},    {WEAK_READ_ATOMIC, 1, 100, 1000000},
    {WEAK_CAUSAL, 0, 100, 1000000},
};

struct count {
    int64_t cases, invalid, walks, ambiguous, mismatches;
};

static int32_t owner_of(const struct generate_history *h, int64_t at, int32_t *place)
{
    for (int32_t i = 0; i < h->n; i++)
        if (at >= h->first[i] && at < h->first[i + 1]) {
            *place = (int32_t)(at - h->first[i]);
            return i;
        }
    return -1;
}

static int32_t vertex_of(int32_t operation)
{
    return operation == WEAK_INITIAL ? AXIOMS_INITIAL : operation;
}

/* Whether a step of sessions or reads holds, for a reader and only before its read `end`. */
static bool is_base_step(const struct axioms *a, const struct weak_step *step, int64_t end)
{
    int32_t m = 0;
    if (step->kind == WEAK_SESSION)
        return step->source == WEAK_INITIAL ||
               (step->target != WEAK_INITIAL && a->session[step->source][step->target]);
    return step->kind == WEAK_WR && step->at < end &&
           owner_of(a->history, step->at, &m) == step->target &&
           a->source[step->target][m] == step->source;
}

static bool is_ww(const struct axioms *a, const struct weak_step *step)
{
    const struct generate_history *h = a->history;
    int32_t m = 0, reader = owner_of(h, step->at, &m), before = -1;
    bool is_missing = false;
    if (reader < 0 || h->transactions[reader].type != COLUMNS_OK)
        return false;
    const struct generate_micro *read = &h->transactions[reader].micros[m];
    if (read->kind != MICRO_READ || read->key != step->key)
        return false;
    for (int32_t e = 0; e < read->length; e++) {
        int32_t by = -1;
        for (int32_t i = 0; i < h->n; i++)
            for (int32_t w = 0; w < h->transactions[i].n; w++)
                if (h->transactions[i].micros[w].kind != MICRO_READ &&
                    h->transactions[i].micros[w].key == read->key &&
                    h->transactions[i].micros[w].value == h->answers[read->start + e])
                    by = i;
        if (before == step->source && by == step->target)
            return true;
        before = by;
    }
    for (int32_t w = 0; w < h->transactions[step->target].n; w++) {
        const struct generate_micro *append = &h->transactions[step->target].micros[w];
        bool is_seen = false; /* a wrong answer may hold an element twice, and another not at all */
        for (int32_t e = 0; e < read->length; e++)
            is_seen |= h->answers[read->start + e] == append->value;
        is_missing |= append->kind != MICRO_READ && append->key == read->key && !is_seen;
    }
    return before == step->source && is_missing;
}

static bool is_commit(const struct axioms *a, const struct weak_options *options,
                      const struct weak_step *step, const struct weak_step *whys)
{
    int32_t m = 0, reader = owner_of(a->history, step->at, &m), from = step->source;
    if (reader < 0 || a->source[reader][m] != vertex_of(step->target) ||
        a->history->transactions[reader].micros[m].key != step->key || step->source == reader ||
        step->source == WEAK_INITIAL || !axioms_writes(a, step->source, step->key) ||
        step->why_length < 1)
        return false;
    for (int32_t i = 0; i < step->why_length; i++) {
        const struct weak_step *why = &whys[step->why + i];
        int64_t end = options->level == WEAK_READ_COMMITTED ? step->at : INT64_MAX;
        if (why->source != from || !is_base_step(a, why, end) ||
            (options->level == WEAK_READ_COMMITTED && why->kind != WEAK_WR))
            return false;
        from = why->target;
    }
    return from == reader && (options->level == WEAK_CAUSAL || step->why_length == 1);
}

static const char *walk_flaw(const struct axioms *a, const struct weak_options *options,
                             const struct weak_result *result)
{
    if (result->walk_n < 2)
        return "a walk too short";
    for (int32_t i = 0; i < result->walk_n; i++) {
        const struct weak_step *step = &result->walk[i];
        if (step->target != result->walk[(i + 1) % result->walk_n].source)
            return "a walk that is not closed";
        if (step->kind == WEAK_COMMIT   ? !is_commit(a, options, step, result->whys)
            : step->kind == WEAK_WW     ? !is_ww(a, step)
                                        : !is_base_step(a, step, INT64_MAX))
            return "a step that does not follow";
    }
    return NULL;
}

static const char *flaw(const struct axioms *a, const struct weak_options *options,
                        const struct weak_result *result, struct count *count)
{
    count->cases++;
    count->walks += result->walk_n > 0;
    if (a->is_ambiguous) {
        count->ambiguous++;
        return result->verdict == WEAK_AMBIGUOUS || result->verdict == WEAK_INVALID
                   ? NULL
                   : "valid though a value is written twice";
    }
    bool is_valid = axioms_allow(a, (enum axioms_level)options->level);
    count->invalid += !is_valid;
    if (result->verdict != (is_valid ? WEAK_VALID : WEAK_INVALID))
        return is_valid ? "valid by the axioms" : "invalid by the axioms";
    if (is_valid)
        return axioms_is_order(a, (enum axioms_level)options->level, result->order,
                               result->order_n)
                   ? NULL
                   : "an order that is not one";
    if (result->walk_n == 0)
        return result->errors_n > 0 ? NULL : "invalid without a reason";
    return walk_flaw(a, options, result);
}

static void show_walk(const struct weak_result *result)
{
    for (int32_t i = 0; i < result->walk_n; i++)
        fprintf(stderr, "%d -> %d: kind %d key %d at %lld\n", result->walk[i].source,
                result->walk[i].target, result->walk[i].kind, result->walk[i].key,
                (long long)result->walk[i].at);
}

/* Whether the oracles contradict each other. */
static const char *oracles_flaw(const struct generate_history *history)
{
    struct axioms a;
    bool holds[AXIOMS_LEVELS];
    axioms_open(&a, history, true);
    if (a.is_ambiguous)
        return NULL;
    for (int32_t level = 0; level < AXIOMS_LEVELS; level++) {
        holds[level] = axioms_allow(&a, (enum axioms_level)level);
        if (level > 0 && holds[level] && !holds[level - 1])
            return "a level without a weaker one";
    }
    if (enumerate_serializable(history, ENUMERATE_PROCESS) != holds[AXIOMS_SERIALIZABLE])
        return "serializable by one oracle alone";
    if (enumerate_snapshot(history, ENUMERATE_PROCESS) != holds[AXIOMS_SNAPSHOT])
        return "snapshot isolation by one oracle alone";
    return NULL;
}

int main(int argc, char **argv)
{
    static struct generate_history history;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: compare_weak CASES SEED [OPERATIONS_MAX]\n");
        return 2;
    }
    int64_t cases = strtoll(argv[1], NULL, 10), mismatches = 0;
    uint64_t seed = strtoull(argv[2], NULL, 10);
    int32_t operations_max = argc == 4 ? (int32_t)strtol(argv[3], NULL, 10) : 6;
    if (cases < 1 || operations_max < 1 || operations_max > AXIOMS_OPERATIONS_MAX)
        return 2;
    for (int32_t lists = 0; lists < 2; lists++) {
        struct generate_options drawn = {operations_max, lists, -1, false};
        struct count counts[JUDGES] = {{0}};
        for (int64_t i = 0; i < cases; i++) {
            generate(&history, &drawn, &seed);
            const char *why = i % ENUMERATED == 0 ? oracles_flaw(&history) : NULL;
            int32_t judge = 0;
            for (; why == NULL && judge < JUDGES; judge++) {
                struct axioms a;
                struct weak_result result;
                axioms_open(&a, &history, !OPTIONS[judge].no_sessions);
                weak_judge(&history.columns, &history.micro, &OPTIONS[judge], &result);
                why = flaw(&a, &OPTIONS[judge], &result, &counts[judge]);
                counts[judge].mismatches += why != NULL;
                if (why != NULL && mismatches == 0)
                    show_walk(&result);
                weak_free(&result);
            }
            if (why != NULL && mismatches++ == 0) {
                fprintf(stderr, "case %lld, before judge %d: %s\n", (long long)i, judge, why);
                generate_print(&history, stderr);
            }
        }
        for (int32_t judge = 0; judge < JUDGES; judge++)
            printf("%s %s %s cases %lld invalid %lld walks %lld ambiguous %lld mismatches %lld\n",
                   lists ? "lists" : "registers", LEVELS[OPTIONS[judge].level],
                   OPTIONS[judge].no_sessions ? "alone" : "sessions",
                   (long long)counts[judge].cases, (long long)counts[judge].invalid,
                   (long long)counts[judge].walks, (long long)counts[judge].ambiguous,
                   (long long)counts[judge].mismatches);
    }
    return mismatches > 0;
}
