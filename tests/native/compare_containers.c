/*
 * compare_containers.c: containers.h against all orders of small random histories.
 *
 * Usage: compare_containers CASES SEED [OPERATIONS_MAX]
 * For each kind of container, CASES histories of up to OPERATIONS_MAX operations (8; at most 14).
 * What is valid must come with an order that stands every step; what is invalid with a part that
 * is invalid alone and left nothing out that could help; and both must be what the orders say.
 * Prints for each kind "KIND cases C invalid I undecided U crashed T rules R1 … R8 mismatches M":
 * T cases have crashed takes, and R counts the broken rules. More than 2 undecided of 1000 such cases
 * are mismatches. The first mismatch goes to stderr.
 * Exit status: 0 no mismatch, 1 some, 2 wrong usage. Needs no privileges.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "containers.h"

#define MAX 14
#define RULES 9

static const char *const NAMES[] = {"queue", "bag", "stack", "priority"};

struct history {
    int32_t kind, n, n_events;
    int8_t is_take[MAX];
    int32_t value[MAX], inv[MAX], ret[MAX], rank[MAX];
};

struct bag {
    int32_t n, values[MAX];
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

static void remove_at(struct bag *bag, int32_t place)
{
    bag->n--;
    for (int32_t i = place; i < bag->n; i++)
        bag->values[i] = bag->values[i + 1];
}

/* Whether the value at a place may be taken now. */
static bool may_take(const struct history *h, const struct bag *bag, int32_t place)
{
    if (h->kind == CONTAINERS_QUEUE)
        return place == 0;
    if (h->kind == CONTAINERS_STACK)
        return place == bag->n - 1;
    for (int32_t i = 0; i < bag->n && h->kind == CONTAINERS_PRIORITY; i++)
        if (h->rank[bag->values[i]] > h->rank[bag->values[place]])
            return false;
    return true;
}

static bool search(const struct history *h, uint32_t done, struct bag bag, const int32_t *order,
                   int32_t length, int32_t k);

/* Do operation i, in all ways in which it can be done, and go on. */
static bool do_it(const struct history *h, uint32_t done, const struct bag *bag, int32_t i,
                  const int32_t *order, int32_t length, int32_t k)
{
    struct bag after = *bag;
    done |= UINT32_C(1) << i;
    if (!h->is_take[i]) {
        after.values[after.n++] = h->value[i];
        return search(h, done, after, order, length, k);
    }
    bool is_crashed = h->ret[i] == CONTAINERS_NEVER;
    if (bag->n == 0)
        return h->value[i] < 0 && search(h, done, after, order, length, k);
    for (int32_t place = 0; place < bag->n; place++) {
        if (!may_take(h, bag, place) || (!is_crashed && bag->values[place] != h->value[i]))
            continue;
        after = *bag;
        remove_at(&after, place);
        if (search(h, done, after, order, length, k))
            return true;
    }
    return false;
}

/* Whether the rest can be done: in any order, or where one is given, in that from place k on. */
static bool search(const struct history *h, uint32_t done, struct bag bag, const int32_t *order,
                   int32_t length, int32_t k)
{
    int32_t first = CONTAINERS_NEVER;
    for (int32_t i = 0; i < h->n; i++)
        if (!(done >> i & 1) && h->ret[i] < first)
            first = h->ret[i];
    if (order != NULL) {
        if (k == length)
            return first == CONTAINERS_NEVER;
        return !(done >> order[k] & 1) && h->inv[order[k]] < first &&
               do_it(h, done, &bag, order[k], order, length, k + 1);
    }
    if (first == CONTAINERS_NEVER)
        return true;
    for (int32_t i = 0; i < h->n; i++)
        if (!(done >> i & 1) && h->inv[i] < first && do_it(h, done, &bag, i, NULL, 0, 0))
            return true;
    return false;
}

/* A simulated container whose answers are right, except some. */
static void random_history(struct history *h, uint64_t *seed, int32_t operations_max)
{
    struct bag bag = {0};
    int32_t open[MAX], n_open = 0, n_values = 0, taken[MAX], n_taken = 0;
    int8_t has_effect[MAX];
    int32_t crash = 12 * random_below(seed, 4), wrong = 10 * random_below(seed, 4);
    int32_t width = 1 + random_below(seed, 5), puts = 35 + 10 * random_below(seed, 4);
    int32_t wanted = 1 + random_below(seed, operations_max);
    bool may_repeat = random_below(seed, 20) == 0;
    int32_t ranks = 1 + random_below(seed, wanted);
    for (int32_t value = 0; value < MAX; value++)
        h->rank[value] = random_below(seed, ranks);
    while (h->n < wanted || n_open > 0) {
        if (h->n < wanted && (n_open == 0 || (n_open < width && random_below(seed, 2)))) {
            int32_t i = h->n++;
            h->is_take[i] = random_below(seed, 100) >= puts;
            h->value[i] = -1;
            h->ret[i] = CONTAINERS_NEVER;
            if (!h->is_take[i]) {
                bool is_again = may_repeat && n_values > 0 && random_below(seed, 3) == 0;
                h->value[i] = is_again ? random_below(seed, n_values) : n_values++;
            }
            h->inv[i] = h->n_events++;
            has_effect[i] = 0;
            open[n_open++] = i;
            continue;
        }
        int32_t place = random_below(seed, n_open), i = open[place];
        if (!has_effect[i] && (random_below(seed, 100) >= crash || random_below(seed, 2))) {
            has_effect[i] = 1; /* now; its answer comes later */
            if (!h->is_take[i]) {
                bag.values[bag.n++] = h->value[i];
            } else if (bag.n > 0) {
                int32_t at = random_below(seed, bag.n);
                bool is_wrong = random_below(seed, 100) < wrong;
                while (!is_wrong && !may_take(h, &bag, at))
                    at = (at + 1) % bag.n;
                h->value[i] = bag.values[at];
                remove_at(&bag, at);
            }
            continue;
        }
        open[place] = open[--n_open];
        if (random_below(seed, 100) < crash || !has_effect[i]) {
            if (h->is_take[i])
                h->value[i] = -1;
            continue;
        }
        h->ret[i] = h->n_events++;
        if (h->is_take[i] && random_below(seed, 100) < wrong)
            h->value[i] = n_taken > 0 && random_below(seed, 3) ? taken[random_below(seed, n_taken)]
                          : random_below(seed, 2) ? random_below(seed, wanted) : -1;
        if (h->is_take[i])
            taken[n_taken++] = h->value[i];
    }
}

static struct containers_problem problem_of(const struct history *h)
{
    static const int32_t NONE[1]; /* sanitizers tell if anybody reads what is past it */
    return (struct containers_problem){
        h->n,   h->n,   h->n_events, h->is_take, h->value, h->inv,
        h->ret, h->kind == CONTAINERS_PRIORITY ? h->rank : NONE + 1};
}

static bool is_crashed_take(const struct history *h, int32_t i)
{
    return h->is_take[i] && h->ret[i] == CONTAINERS_NEVER;
}

/* Whether a part is invalid alone, and nothing that was left out can help it. */
static const char *part_flaw(const struct history *h, const int32_t *part, int32_t length)
{
    struct history alone = {.kind = h->kind, .n = length, .n_events = h->n_events};
    uint32_t is_in = 0, values = 0;
    int32_t end = -1;
    memcpy(alone.rank, h->rank, sizeof alone.rank);
    if (length == 0)
        return "an empty part";
    for (int32_t k = 0; k < length; k++) {
        int32_t i = part[k];
        if (is_in >> i & 1)
            return "twice in a part";
        is_in |= UINT32_C(1) << i;
        values |= h->value[i] >= 0 ? UINT32_C(1) << h->value[i] : 0;
        end = h->ret[i] != CONTAINERS_NEVER && h->ret[i] > end ? h->ret[i] : end;
        alone.is_take[k] = h->is_take[i];
        alone.value[k] = h->value[i];
        alone.inv[k] = h->inv[i];
        alone.ret[k] = h->ret[i];
    }
    bool has_spare_item = false;
    for (int32_t k = 0; k < length; k++) {
        bool is_taken = false;
        for (int32_t i = 0; i < h->n; i++)
            is_taken |= h->is_take[i] && h->value[i] == h->value[part[k]];
        has_spare_item |= !h->is_take[part[k]] && !is_taken;
    }
    for (int32_t i = 0; i < h->n; i++) {
        if (is_in >> i & 1)
            continue;
        if (h->value[i] >= 0 && (values >> h->value[i] & 1) && !h->is_take[i])
            return "a put was left out";
        if (is_crashed_take(h, i) && has_spare_item && h->inv[i] < end)
            return "a crashed take was left out";
    }
    return search(&alone, 0, (struct bag){0}, NULL, 0, 0) ? "a part that has an order" : NULL;
}

struct count {
    int64_t invalid, undecided, crashed, mismatches, rules[RULES];
};

static const char *compare(const struct history *h, struct count *count)
{
    struct containers_problem problem = problem_of(h);
    struct containers_finding finding;
    int32_t order[MAX], part[MAX];
    int32_t verdict = containers_judge(h->kind, &problem, order, part, &finding);
    bool is_valid = search(h, 0, (struct bag){0}, NULL, 0, 0), repeats = false, crashes = false;
    for (int32_t i = 0; i < h->n; i++) {
        crashes |= is_crashed_take(h, i);
        for (int32_t j = 0; j < i; j++)
            repeats |= !h->is_take[i] && !h->is_take[j] && h->value[i] == h->value[j];
    }
    count->invalid += !is_valid;
    count->crashed += crashes;
    if (verdict == CONTAINERS_UNDECIDED) {
        count->undecided += !repeats;
        return repeats || (crashes && h->kind >= CONTAINERS_STACK) ? NULL : "undecided";
    }
    if (repeats || (verdict != CONTAINERS_VALID && verdict != CONTAINERS_INVALID))
        return "a verdict that cannot be";
    if ((verdict == CONTAINERS_VALID) != is_valid)
        return is_valid ? "valid by brute force" : "invalid by brute force";
    count->rules[finding.rule]++;
    if (!is_valid)
        return part_flaw(h, part, finding.part_length);
    if (!search(h, 0, (struct bag){0}, order, finding.order_length, 0))
        return "an order that is not one";
    if (containers_replay(h->kind, &problem, order, finding.order_length) != 1)
        return "an order that does not stand its replay";
    int32_t k = finding.order_length - 1;
    if (k > 0) {
        int32_t kept = order[0];
        order[0] = order[k];
        order[k] = kept;
        if (search(h, 0, (struct bag){0}, order, k + 1, 0) !=
            (containers_replay(h->kind, &problem, order, k + 1) == 1))
            return "a replay that is wrong";
    }
    return NULL;
}

static void show(const struct history *h, const char *why)
{
    fprintf(stderr, "%s: %s\n", NAMES[h->kind], why);
    for (int32_t i = 0; i < h->n; i++)
        fprintf(stderr, "  %2d %s value %2d rank %2d  %2d .. %d\n", i,
                h->is_take[i] ? "take" : "put ", h->value[i],
                h->value[i] >= 0 ? h->rank[h->value[i]] : -1, h->inv[i],
                h->ret[i] == CONTAINERS_NEVER ? -1 : h->ret[i]);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: compare_containers CASES SEED [OPERATIONS_MAX]\n");
        return 2;
    }
    int64_t cases = strtoll(argv[1], NULL, 10), mismatches = 0;
    int32_t operations_max = argc == 4 ? (int32_t)strtol(argv[3], NULL, 10) : 8;
    if (operations_max < 1 || operations_max > MAX)
        return 2;
    for (int32_t kind = CONTAINERS_QUEUE; kind <= CONTAINERS_PRIORITY; kind++) {
        uint64_t seed = (uint64_t)strtoull(argv[2], NULL, 10) * 4 + (uint64_t)kind;
        struct count count = {0};
        for (int64_t i = 0; i < cases; i++) {
            struct history h = {.kind = kind};
            random_history(&h, &seed, operations_max);
            const char *why = compare(&h, &count);
            if (why != NULL && count.mismatches++ == 0 && mismatches == 0)
                show(&h, why);
        }
        if (count.undecided * 500 > count.crashed + 1000)
            count.mismatches += count.undecided;
        mismatches += count.mismatches;
        printf("%s cases %lld invalid %lld undecided %lld crashed %lld rules", NAMES[kind],
               (long long)cases, (long long)count.invalid, (long long)count.undecided,
               (long long)count.crashed);
        for (int32_t rule = 1; rule < RULES; rule++)
            printf(" %lld", (long long)count.rules[rule]);
        printf(" mismatches %lld\n", (long long)count.mismatches);
    }
    return mismatches > 0;
}
