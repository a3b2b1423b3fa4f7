/*
 * compare_solve.c: solve.h against all orders of small random histories, by enumerate.h.
 *
 * Usage: compare_solve CASES SEED [OPERATIONS_MAX]
 * CASES histories of lists and as many of registers, of up to OPERATIONS_MAX transactions (6), each
 * decided for serializability and snapshot isolation by data, process and real time. A serial order
 * or points that are given must replay.
 * Prints "RULES MODEL DEMAND cases C invalid I ambiguous A choices K turned T mismatches M" for each.
 * K counts the cases that were not decided by reachability alone, T those with a choice that had to
 * be taken back. Pruning leaves next to none of those in so few transactions, so every third history
 * is decided without it, and every third with very little. The first mismatch goes to stderr.
 * Exit status: 0 no mismatch, 1 some, 2 wrong usage. Needs no privileges.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enumerate.h"
#include "solve.h"
#include "weak.h"

static const char *const MODELS[] = {"serializable", "snapshot"};
static const char *const DEMANDS[] = {"data", "process", "realtime"};

struct count {
    int64_t cases, invalid, ambiguous, choices, turned, mismatches;
};

/* The answer to a read is what was committed before `start`, and what is the transaction's own. */
static bool is_right(const struct generate_history *h, const struct solve_result *result,
                     int32_t start, int32_t m)
{
    const struct generate_transaction *t = &h->transactions[result->order[start] / 2];
    const struct generate_micro *read = &t->micros[m];
    int32_t list[GENERATE_LOG_MAX], n = 0;
    for (int32_t place = 0; place <= start; place++) {
        const struct generate_transaction *other = &h->transactions[result->order[place] / 2];
        if (place < start && result->order[place] % 2 == 0)
            continue;
        for (int32_t w = 0; w < (place == start ? m : other->n); w++)
            if (other->micros[w].kind != MICRO_READ && other->micros[w].key == read->key)
                list[n++] = other->micros[w].value;
    }
    if (!h->is_append)
        return read->value == (n > 0 ? list[n - 1] : 0);
    return read->length == n &&
           memcmp(h->answers + read->start, list, sizeof(int32_t) * (size_t)n) == 0;
}

static bool share_a_key(const struct generate_transaction *a, const struct generate_transaction *b)
{
    for (int32_t i = 0; i < a->n; i++)
        for (int32_t j = 0; j < b->n; j++)
            if (a->micros[i].kind != MICRO_READ && b->micros[j].kind != MICRO_READ &&
                a->micros[i].key == b->micros[j].key)
                return true;
    return false;
}

static bool are_points(const struct generate_history *h, int32_t demand,
                       const struct solve_result *result)
{
    int32_t start[GENERATE_OPERATIONS_MAX], commit[GENERATE_OPERATIONS_MAX];
    memset(start, 0xFF, sizeof start);
    memset(commit, 0xFF, sizeof commit);
    for (int32_t place = 0; place < result->order_n; place++) {
        int32_t *point = result->order[place] % 2 ? commit : start;
        if (point[result->order[place] / 2] >= 0)
            return false;
        point[result->order[place] / 2] = place;
    }
    for (int32_t i = 0; i < h->n; i++) {
        const struct generate_transaction *t = &h->transactions[i];
        if ((start[i] < 0) != (commit[i] < 0) || start[i] > commit[i] ||
            (start[i] < 0 && t->type == COLUMNS_OK) || (start[i] >= 0 && t->type == COLUMNS_FAIL))
            return false;
        for (int32_t m = 0; t->type == COLUMNS_OK && m < t->n; m++)
            if (t->micros[m].kind == MICRO_READ && !is_right(h, result, start[i], m))
                return false;
        for (int32_t j = 0; j < h->n && start[i] >= 0; j++) {
            const struct generate_transaction *other = &h->transactions[j];
            if (j == i || start[j] < 0 || commit[i] < start[j])
                continue;
            bool is_over = commit[j] < start[i]; /* else they overlap */
            if ((!is_over && share_a_key(t, other)) ||
                (demand >= SOLVE_PROCESS && generate_precedes(t, other)) ||
                (demand == SOLVE_REALTIME && generate_is_before(t, other)))
                return false;
        }
    }
    return true;
}

static const char *flaw(const struct generate_history *h, const struct solve_options *options,
                        const struct solve_result *result, struct count *count)
{
    enum enumerate_demand demand = (enum enumerate_demand)options->demand;
    count->cases++;
    count->choices += result->configurations > 0;
    count->turned += result->turned > 0;
    if (result->verdict == WEAK_AMBIGUOUS || h->is_ambiguous) {
        count->ambiguous++;
        return h->is_ambiguous ? NULL : "ambiguous";
    }
    bool is_valid = options->model == SOLVE_SNAPSHOT ? enumerate_snapshot(h, demand)
                                                     : enumerate_serializable(h, demand);
    count->invalid += !is_valid;
    if (result->verdict != (is_valid ? WEAK_VALID : WEAK_INVALID))
        return is_valid ? "valid by every order" : "invalid by every order";
    if (!is_valid)
        return NULL;
    if (options->model == SOLVE_SNAPSHOT)
        return are_points(h, options->demand, result) ? NULL : "points that are none";
    return enumerate_is_order(h, demand, result->order, result->order_n) ? NULL
                                                                         : "an order that is none";
}

int main(int argc, char **argv)
{
    static const int32_t windows[] = {1, -1, 1000};
    static struct generate_history history;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: compare_solve CASES SEED [OPERATIONS_MAX]\n");
        return 2;
    }
    int64_t cases = strtoll(argv[1], NULL, 10), mismatches = 0;
    uint64_t seed = strtoull(argv[2], NULL, 10);
    int32_t operations_max = argc == 4 ? (int32_t)strtol(argv[3], NULL, 10) : 6;
    if (cases < 1 || operations_max < 1 || operations_max > 8)
        return 2;
    for (int32_t lists = 0; lists < 2; lists++) {
        struct generate_options drawn = {operations_max, lists, -1, false};
        struct count counts[6] = {{0}};
        for (int64_t i = 0; i < cases; i++) {
            const char *why = NULL;
            generate(&history, &drawn, &seed);
            for (int32_t k = 0; why == NULL && k < 6; k++) {
                struct solve_options options = {k / 3, k % 3, 100000, 100000000, windows[i % 3]};
                struct solve_result result;
                solve(&history.columns, &history.micro, &options, &result);
                why = flaw(&history, &options, &result, &counts[k]);
                counts[k].mismatches += why != NULL;
                solve_free(&result);
                if (why != NULL && mismatches++ == 0) {
                    fprintf(stderr, "case %lld, %s by %s: %s\n", (long long)i, MODELS[k / 3],
                            DEMANDS[k % 3], why);
                    generate_print(&history, stderr);
                }
            }
        }
        for (int32_t k = 0; k < 6; k++)
            printf("%s %s %s cases %lld invalid %lld ambiguous %lld choices %lld "
                   "turned %lld mismatches %lld\n",
                   lists ? "lists" : "registers", MODELS[k / 3], DEMANDS[k % 3],
                   (long long)counts[k].cases, (long long)counts[k].invalid,
                   (long long)counts[k].ambiguous, (long long)counts[k].choices,
                   (long long)counts[k].turned, (long long)counts[k].mismatches);
    }
    return mismatches > 0;
}
