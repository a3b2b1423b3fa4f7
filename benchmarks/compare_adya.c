/*
 * compare_adya.c: random histories for another judge, and what the engine says of each.
 *
 * Usage: compare_adya CASES SEED OPERATIONS append|wr apart|equal FILE [WANTED]
 *
 * FILE gets the histories as JSON lines, with an empty line behind each. `apart` gives all events
 * times of their own, in their order; with `equal` some are the same. Every transaction that nobody
 * knows about gets an `info` at the end, since others leave out what never ends.
 *
 * Prints a line for each history: 1 where a value was written twice, the names of what was found as
 * a number in base 16 (a bit for each class and level of cycles, then one for each kind of anomaly
 * without a cycle), and whether it is serializable, and strict serializable: "valid", "invalid" or
 * "unknown". Where the engine leaves that open, the solver decides it.
 *
 * With WANTED, a file of numbers of histories, from 0 and rising: nothing is judged. Each of those
 * is tried in every serial order, and then in those that keep real time, and the line is its number
 * and twice "order", "none" or "many" (that is, too many to be tried).
 * Exit status: 0, or 2 for wrong usage.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "generate.h"
#include "solve.h"
#include "transactions.h"
#include "weak.h"

#define OF_LEVEL(level) (UINT32_C(31) << ((level) * GRAPH_RUNGS))

/* A time for each event. The index of an event orders them. */
static void set_apart(struct generate_history *h)
{
    for (int32_t i = 0; i < h->n; i++) {
        h->transactions[i].inv_time = h->transactions[i].inv;
        h->transactions[i].ret_time = h->transactions[i].ret < 0 ? 0 : h->transactions[i].ret;
    }
    generate_columns(h);
}

static void end_all(const struct generate_history *h, FILE *file)
{
    int32_t event = 2 * h->n;
    for (int32_t i = 0; i < h->n; i++) {
        const struct generate_transaction *t = &h->transactions[i];
        if (t->type != COLUMNS_INFO)
            continue;
        fprintf(file, "{\"index\":%d,\"time\":1000000,\"process\":%d,\"type\":\"info\","
                "\"f\":\"txn\",\"value\":[", (int)event++, (int)t->process);
        for (int32_t m = 0; m < t->n; m++) {
            fprintf(file, "%s[\"%s\",%d,", m > 0 ? "," : "",
                    t->micros[m].kind == MICRO_READ ? "r" : h->is_append ? "append" : "w",
                    (int)t->micros[m].key);
            if (t->micros[m].kind == MICRO_READ)
                fprintf(file, "null]");
            else
                fprintf(file, "%d]", (int)t->micros[m].value);
        }
        fprintf(file, "]}\n");
    }
    fprintf(file, "\n");
}

/*
 * Every serial order, by code of its own: a state that was left without success is not entered again.
 */
#define MEMORY (1 << 20)
#define NODES_MAX 400000

struct state {
    int32_t n[GENERATE_KEYS_MAX];
    int32_t held[GENERATE_KEYS_MAX][GENERATE_LOG_MAX];
};

static uint64_t failed[MEMORY]; /* hashes; 0 is empty */
static int64_t nodes;

static bool do_all(const struct generate_history *h, const struct generate_transaction *t,
                   struct state *state)
{
    for (int32_t m = 0; m < t->n; m++) {
        const struct generate_micro *micro = &t->micros[m];
        int32_t *n = &state->n[micro->key], *held = state->held[micro->key];
        if (micro->kind != MICRO_READ) {
            *n = h->is_append ? *n : 0;
            held[(*n)++] = micro->value;
        } else if (t->type == COLUMNS_OK && !h->is_append) {
            if (micro->value != (*n > 0 ? held[0] : 0))
                return false;
        } else if (t->type == COLUMNS_OK &&
                   (micro->length != *n || memcmp(h->answers + micro->start, held,
                                                  sizeof *held * (size_t)*n) != 0)) {
            return false;
        }
    }
    return true;
}

static uint64_t hash_of(uint64_t left, const struct state *state, int32_t keys_n)
{
    uint64_t hash = left * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (int32_t k = 0; k < keys_n; k++)
        for (int32_t e = -1; e < state->n[k]; e++) {
            hash = (hash ^ (uint64_t)(e < 0 ? 1000 + k : state->held[k][e])) *
                   UINT64_C(0xBF58476D1CE4E5B9);
            hash ^= hash >> 29;
        }
    return hash | 1;
}

static bool has_order(const struct generate_history *h, bool is_strict, uint64_t left,
                      const struct state *state)
{
    bool is_over = true;
    for (int32_t i = 0; i < h->n; i++)
        is_over = is_over && !(left >> i & 1 && h->transactions[i].type == COLUMNS_OK);
    if (is_over)
        return true;
    uint64_t hash = hash_of(left, state, h->keys_n), place = hash >> 44;
    for (; failed[place] != 0; place = (place + 1) % MEMORY)
        if (failed[place] == hash)
            return false;
    for (int32_t i = 0; i < h->n; i++) {
        bool is_free = left >> i & 1;
        for (int32_t j = 0; is_free && is_strict && j < h->n; j++)
            is_free = !(left >> j & 1 && j != i && h->transactions[j].type == COLUMNS_OK &&
                        (generate_precedes(&h->transactions[j], &h->transactions[i]) ||
                         generate_is_before(&h->transactions[j], &h->transactions[i])));
        if (!is_free)
            continue;
        if (++nodes > NODES_MAX)
            return false;
        struct state after = *state;
        if (do_all(h, &h->transactions[i], &after) &&
            has_order(h, is_strict, left & ~(UINT64_C(1) << i), &after))
            return true;
    }
    for (place = hash >> 44; failed[place] != 0; place = (place + 1) % MEMORY)
        ;
    failed[place] = hash;
    return false;
}

static const char *by_orders(const struct generate_history *h, bool is_strict)
{
    uint64_t all = 0;
    struct state state;
    memset(&state, 0, sizeof state);
    memset(failed, 0, sizeof failed);
    nodes = 0;
    for (int32_t i = 0; i < h->n; i++)
        all |= h->transactions[i].type != COLUMNS_FAIL ? UINT64_C(1) << i : 0;
    bool exists = has_order(h, is_strict, all, &state);
    return exists ? "order" : nodes > NODES_MAX ? "many" : "none";
}

static const char *solved(const struct generate_history *h, int32_t demand)
{
    struct solve_options options = {SOLVE_SERIALIZABLE, demand, 100000, 100000000, 1000};
    struct solve_result result;
    int32_t verdict = solve(&h->columns, &h->micro, &options, &result);
    solve_free(&result);
    return verdict == WEAK_VALID ? "valid" : verdict == WEAK_INVALID ? "invalid" : "unknown";
}

static void judge(const struct generate_history *h)
{
    struct transactions_options options = {
        .rules = h->is_append ? TRANSACTIONS_APPEND : TRANSACTIONS_WR, .process = 1, .realtime = 1,
        .anomalies_max = 3,
        .graph = {.cycles_max = 3, .vectors_max = 1000000, .steps_max = 1000000}};
    struct transactions_outcome found;
    transactions_judge(&h->columns, &h->micro, &options, &found);
    uint32_t bits = 0;
    for (int32_t c = 0; c < 15; c++)
        bits |= found.cycles.counts[c] > 0 ? UINT32_C(1) << c : 0;
    for (int32_t k = 0; k < TRANSACTIONS_KINDS; k++)
        bits |= found.counts[k] > 0 ? UINT32_C(1) << (15 + k) : 0;
    printf("%d %" PRIx32, h->is_ambiguous, bits);
    for (int32_t level = TRANSACTIONS_DATA; level <= TRANSACTIONS_REALTIME;
         level += TRANSACTIONS_REALTIME - TRANSACTIONS_DATA) {
        uint32_t counting = bits >> 15 | (bits & OF_LEVEL(0));
        counting |= level == TRANSACTIONS_REALTIME ? bits : 0;
        bool is_refuted = found.refuted != TRANSACTIONS_NO_ORDER && found.refuted <= level;
        if (counting != 0 || is_refuted)
            printf(" invalid");
        else if (found.order_level >= level && !h->is_ambiguous)
            printf(" valid");
        else
            printf(" %s", solved(h, level - 1));
    }
    printf("\n");
    transactions_free(&found);
}

int main(int argc, char **argv)
{
    static struct generate_history h;
    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: compare_adya CASES SEED OPERATIONS append|wr apart|equal FILE [WANTED]\n");
        return 2;
    }
    uint64_t seed = strtoull(argv[2], NULL, 10);
    struct generate_options options = {.operations_max = (int32_t)strtol(argv[3], NULL, 10),
                                       .is_append = strcmp(argv[4], "append") == 0,
                                       .level = -1};
    FILE *file = fopen(argv[6], "w");
    if (file == NULL || options.operations_max < 1 ||
        options.operations_max > GENERATE_OPERATIONS_MAX)
        return 2;
    FILE *wanted = argc == 8 ? fopen(argv[7], "r") : NULL;
    long next = -1, cases = strtol(argv[1], NULL, 10);
    if (argc == 8 && (wanted == NULL || fscanf(wanted, "%ld", &next) != 1))
        return 2;
    for (long at = 0; at < cases; at++) {
        generate(&h, &options, &seed);
        if (wanted != NULL && at != next)
            continue;
        if (strcmp(argv[5], "apart") == 0)
            set_apart(&h);
        if (wanted != NULL) {
            printf("%ld %s", at, by_orders(&h, false));
            printf(" %s\n", by_orders(&h, true));
            if (fscanf(wanted, "%ld", &next) != 1)
                break;
            continue;
        }
        generate_print(&h, file);
        end_all(&h, file);
        judge(&h);
    }
    fclose(file);
    return 0;
}
