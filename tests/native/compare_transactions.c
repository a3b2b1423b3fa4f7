/*
 * compare_transactions.c: transactions.h against definitions and against all orders, on random histories.
 *
 * Usage: compare_transactions CASES SEED OPERATIONS append|wr [print]
 *
 * Anomalies that are no cycles, and of lists the classes of cycles, must be those of expect.h. With
 * at most 7 operations all orders are tried: whatever is called an anomaly must contradict what it
 * is said to contradict; of lists, what shows no anomaly must be serializable, and the order that is
 * given must replay. Of registers an order that replays is valid, an anomaly invalid, and the rest
 * is counted as undecided. A history of a database whose isolation is known may show what its level
 * lets happen, and nothing else.
 *
 * With `print` nothing is judged: each history is printed as JSON lines, and behind it a line of six
 * digits: whether it is serializable, also by process order and by real time, and the same of
 * snapshot isolation, by trying all orders.
 *
 * Prints "cases C serializable S invalid I undecided U ambiguous A mismatches M", and for each
 * level "LEVEL cases C caught N". The first mismatch goes to stderr, with the history. Exit status:
 * 0 no mismatch, 1 some, 2 wrong usage. Needs no privileges.
 */
#include <stdlib.h>
#include <string.h>

#include "enumerate.h"
#include "expect.h"
#include "generate.h"
#include "transactions.h"

#define SMALL 7
#define RUNG_BIT(rung, level) (UINT32_C(1) << ((level) * GRAPH_RUNGS + (rung)))
#define KIND_BIT(kind) (UINT32_C(1) << (15 + (kind)))
#define RUNG_ALL(rung) (RUNG_BIT(rung, 0) | RUNG_BIT(rung, 1) | RUNG_BIT(rung, 2))
#define OF_LEVEL(level) (UINT32_C(31) << ((level) * GRAPH_RUNGS))
#define STALE                                                                                      \
    (RUNG_ALL(GRAPH_G_SINGLE) | RUNG_ALL(GRAPH_G_NONADJACENT) | RUNG_ALL(GRAPH_G2) |               \
     KIND_BIT(TRANSACTIONS_LOST_UPDATE))
#define DIRTY                                                                                      \
    (STALE | RUNG_ALL(GRAPH_G0) | RUNG_ALL(GRAPH_G1C) | KIND_BIT(TRANSACTIONS_INTERNAL) |          \
     KIND_BIT(TRANSACTIONS_G1B))

static const char *const LEVELS[] = {"strict",   "session",   "serializable", "snapshot", "lost-update",
                                     "prefix",   "committed", "dirty-write",  "dirty-read"};

/* What each level lets happen. */
static const uint32_t ALLOWED[] = {
    0,
    OF_LEVEL(2),
    OF_LEVEL(1) | OF_LEVEL(2),
    RUNG_ALL(GRAPH_G2),
    STALE,
    STALE,
    STALE | KIND_BIT(TRANSACTIONS_INTERNAL),
    DIRTY,
    DIRTY | KIND_BIT(TRANSACTIONS_G1A) | KIND_BIT(TRANSACTIONS_DIRTY_UPDATE)};

/* expect_anomaly -> transactions_kind */
static const int32_t KINDS[] = {
    TRANSACTIONS_INTERNAL, TRANSACTIONS_FUTURE_READ, TRANSACTIONS_PHANTOM, TRANSACTIONS_G1A,
    TRANSACTIONS_G1B, TRANSACTIONS_DIRTY_UPDATE, TRANSACTIONS_DUPLICATE_ELEMENTS,
    TRANSACTIONS_INCOMPATIBLE_ORDER, TRANSACTIONS_LOST_UPDATE, TRANSACTIONS_CYCLIC_VERSIONS};

struct tally {
    long cases, serializable, invalid, undecided, ambiguous, mismatches;
    long of_level[GENERATE_LEVELS], caught[GENERATE_LEVELS];
};

/* Judge: what was found, as bits. */
static uint32_t judge(const struct generate_history *h, struct transactions_outcome *outcome)
{
    struct transactions_options options = {
        .rules = h->is_append ? TRANSACTIONS_APPEND : TRANSACTIONS_WR, .process = 1, .realtime = 1,
        .anomalies_max = 10,
        .graph = {.cycles_max = 10, .vectors_max = 1000000, .steps_max = 1000000}};
    uint32_t bits = 0;
    transactions_judge(&h->columns, &h->micro, &options, outcome);
    for (int32_t c = 0; c < 15; c++)
        bits |= outcome->cycles.counts[c] > 0 ? UINT32_C(1) << c : 0;
    for (int32_t k = 0; k < TRANSACTIONS_KINDS; k++)
        bits |= outcome->counts[k] > 0 ? KIND_BIT(k) : 0;
    return bits;
}

/* Without what is known only of others: see expect.h. */
static uint32_t expected(const struct generate_history *h, const struct expect *found,
                         uint32_t *known)
{
    uint32_t bits = 0;
    *known = 0;
    for (int32_t a = 0; a < EXPECT_ANOMALIES; a++) {
        bool has_order = !found->has[EXPECT_INCOMPATIBLE_ORDER] &&
                         !found->has[EXPECT_DUPLICATE_ELEMENTS];
        bool has_versions = has_order && !found->has[EXPECT_INTERNAL] &&
                            !found->has[EXPECT_FUTURE_READ] && !found->has[EXPECT_PHANTOM] &&
                            !found->has[EXPECT_G1A];
        bool is_vague = a == EXPECT_LOST_UPDATE && !has_versions;
        bool of_order = a == EXPECT_DIRTY_UPDATE || a == EXPECT_CYCLIC_VERSIONS;
        bool of_lists = a == EXPECT_DIRTY_UPDATE;
        if (h->is_ambiguous || is_vague || (of_order && !has_order) || (of_lists && !h->is_append))
            continue;
        *known |= KIND_BIT(KINDS[a]);
        bits |= found->has[a] ? KIND_BIT(KINDS[a]) : 0;
    }
    for (int32_t rung = 0; rung < EXPECT_RUNGS && found->has_cycles; rung++)
        for (int32_t level = 0; level < EXPECT_LEVELS; level++) {
            *known |= RUNG_BIT(rung, level);
            bits |= found->cycles[rung][level] ? RUNG_BIT(rung, level) : 0;
        }
    return bits;
}

static const char *rung_of(const struct graph_step *walk, int32_t length)
{
    int32_t rw = 0, wr = 0;
    bool is_apart = true;
    for (int32_t s = 0; s < length; s++) {
        rw += walk[s].kind == GRAPH_RW;
        wr += walk[s].kind == GRAPH_WR;
        if (walk[s].kind == GRAPH_RW && walk[(s + 1) % length].kind == GRAPH_RW)
            is_apart = false;
    }
    return rw == 0 ? (wr ? "1" : "0") : rw == 1 ? "2" : is_apart ? "3" : "4";
}

/* Whether each cycle is closed, and of the class that it is said to be. */
static bool are_cycles_right(const struct generate_history *h, const struct graph_cycles *cycles)
{
    for (int64_t c = 0; c < cycles->n; c++) {
        const struct graph_cycle *cycle = &cycles->cycles[c];
        const struct graph_step *walk = &cycles->walk[cycle->first];
        int32_t level = 0;
        for (int32_t s = 0; s < cycle->length; s++) {
            const struct graph_step *step = &walk[s];
            if (step->to != walk[(s + 1) % cycle->length].from || step->from == step->to ||
                step->from >= (uint32_t)h->n)
                return false;
            const struct generate_transaction *a = &h->transactions[step->from];
            const struct generate_transaction *b = &h->transactions[step->to];
            if ((step->kind == GRAPH_PROCESS && !generate_precedes(a, b)) ||
                (step->kind == GRAPH_REALTIME && !generate_is_before(a, b)) ||
                step->kind > GRAPH_REALTIME)
                return false;
            int32_t needs = step->kind == GRAPH_REALTIME ? 2 : step->kind == GRAPH_PROCESS;
            level = needs > level ? needs : level;
        }
        if (cycle->length < 2 || level != cycle->level ||
            cycle->rung != *rung_of(walk, cycle->length) - '0')
            return false;
    }
    return true;
}

static const char *mismatch(const struct generate_history *h, struct tally *tally)
{
    struct transactions_outcome outcome;
    struct expect found;
    uint32_t known, bits = judge(h, &outcome);
    expect(h, &found);
    uint32_t wanted = expected(h, &found, &known);
    const char *wrong = NULL;
    if (outcome.status != TRANSACTIONS_DONE)
        wrong = "it is not judged";
    else if ((bits & known) != wanted)
        wrong = "other anomalies than by definition";
    else if (!are_cycles_right(h, &outcome.cycles))
        wrong = "a cycle is none, or of another class";
    else if (!h->is_changed && !h->is_ambiguous && bits & ~ALLOWED[h->level])
        wrong = "more than the level of the database lets happen";
    bool is_caught = bits != 0, is_open = false;
    tally->of_level[h->level] += !h->is_changed;
    tally->caught[h->level] += !h->is_changed && is_caught;
    tally->ambiguous += h->is_ambiguous;
    uint32_t none = bits >> 15;
    bool has_order[3] = {false};
    for (int32_t d = 0; d < 3 && h->n <= SMALL && wrong == NULL; d++) {
        enum enumerate_demand demand = (enum enumerate_demand)d;
        uint32_t upto = OF_LEVEL(0) | (d > 0 ? OF_LEVEL(1) : 0) | (d > 1 ? OF_LEVEL(2) : 0);
        uint32_t snapshot = upto & ~RUNG_ALL(GRAPH_G2);
        bool is_serializable = enumerate_serializable(h, demand);
        bool is_anomalous = none || bits & upto;
        has_order[d] = outcome.order_level >= d + 1 &&
                       enumerate_is_order(h, demand, outcome.order, outcome.order_n);
        if (is_anomalous && is_serializable)
            wrong = "an anomaly of a serializable history";
        else if ((none || bits & snapshot) && enumerate_snapshot(h, demand))
            wrong = "an anomaly of a history with snapshots";
        else if (h->is_append && !h->is_ambiguous && is_anomalous == is_serializable)
            wrong = "no anomaly of a history that is not serializable";
        else if (h->is_append && !h->is_ambiguous && has_order[d] != is_serializable)
            wrong = "the order does not replay";
        if (d > 0)
            continue;
        tally->serializable += is_serializable;
        tally->invalid += !is_serializable;
        is_open = !is_anomalous && !has_order[d];
    }
    tally->undecided += is_open && !h->is_ambiguous;
    if (wrong != NULL && tally->mismatches == 0)
        fprintf(stderr, "%s: level %s, found %x, by definition %x of %x, order level %d of %d\n",
                wrong, LEVELS[h->level], (unsigned)bits, (unsigned)wanted, (unsigned)known,
                (int)outcome.order_level, (int)outcome.order_n);
    for (int32_t place = 0; wrong != NULL && tally->mismatches == 0 && place < outcome.order_n;
         place++)
        fprintf(stderr, "order %d\n", (int)outcome.order[place]);
    transactions_free(&outcome);
    return wrong;
}

static void print_truth(const struct generate_history *h)
{
    generate_print(h, stdout);
    for (int32_t d = 0; d < 3; d++)
        printf("%d", enumerate_serializable(h, (enum enumerate_demand)d));
    for (int32_t d = 0; d < 3; d++)
        printf("%d", enumerate_snapshot(h, (enum enumerate_demand)d));
    printf("\n");
}

int main(int argc, char **argv)
{
    static struct generate_history h;
    struct tally tally = {0};
    bool is_printed = argc == 6 && strcmp(argv[5], "print") == 0;
    if ((argc != 5 && !is_printed) ||
        (strcmp(argv[4], "append") != 0 && strcmp(argv[4], "wr") != 0)) {
        fprintf(stderr, "usage: compare_transactions CASES SEED OPERATIONS append|wr [print]\n");
        return 2;
    }
    uint64_t seed = strtoull(argv[2], NULL, 10);
    struct generate_options options = {.operations_max = (int32_t)strtol(argv[3], NULL, 10),
                                       .is_append = strcmp(argv[4], "append") == 0,
                                       .level = -1};
    if (options.operations_max < 1 || options.operations_max > GENERATE_OPERATIONS_MAX ||
        (is_printed && options.operations_max > SMALL))
        return 2;
    for (long cases = strtol(argv[1], NULL, 10); tally.cases < cases; tally.cases++) {
        generate(&h, &options, &seed);
        if (is_printed) {
            print_truth(&h);
            continue;
        }
        const char *wrong = mismatch(&h, &tally);
        if (wrong != NULL && tally.mismatches++ == 0)
            generate_print(&h, stderr);
    }
    if (is_printed)
        return 0;
    printf("cases %ld serializable %ld invalid %ld undecided %ld ambiguous %ld mismatches %ld\n",
           tally.cases, tally.serializable, tally.invalid, tally.undecided, tally.ambiguous,
           tally.mismatches);
    for (int32_t level = 0; level < GENERATE_LEVELS; level++)
        printf("%s cases %ld caught %ld\n", LEVELS[level], tally.of_level[level],
               tally.caught[level]);
    return tally.mismatches != 0;
}
