/*
 * hostile_transactions.c: transactions.h on arrays of any content, for sanitizers.
 *
 * Usage: hostile_transactions CASES SEED
 *
 * Small arrays are drawn within the ranges that they should keep, then some of their numbers are
 * changed to anything. The outcome must be a refusal, or an order without repetition. Exit status:
 * 0, 1 for a wrong outcome, 2 for wrong usage. Needs no privileges.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "transactions.h"

#define OPERATIONS 6
#define MICROS 16
#define KEYS 3
#define ITEMS 12

struct arrays {
    int8_t type[OPERATIONS];
    int32_t process[OPERATIONS], events[OPERATIONS];
    int64_t inv_time[OPERATIONS], ret_time[OPERATIONS];
    int64_t first[OPERATIONS + 1], list[MICROS];
    uint8_t kind[MICROS];
    int32_t key[MICROS], value[MICROS], length[MICROS], items[ITEMS];
};

static uint64_t state;

static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static int32_t below(int32_t n)
{
    return (int32_t)(draw() % (uint64_t)n);
}

/* Any number, small ones and limits more often. */
static int64_t anything(void)
{
    static const int64_t limits[] = {-1,        -2,     INT32_MAX, INT32_MIN, INT64_MAX,
                                     INT64_MIN, MICROS, KEYS,      ITEMS,     OPERATIONS};
    return below(3) > 0 ? limits[below(10)] : (int64_t)(draw() >> below(64));
}

static void fill(struct arrays *a, int32_t rules)
{
    int64_t at = 0;
    for (int32_t i = 0; i < OPERATIONS; i++) {
        a->type[i] = (int8_t)(below(4) % 3);
        a->process[i] = below(3);
        a->events[i] = i;
        a->inv_time[i] = below(20);
        a->ret_time[i] = a->inv_time[i] + below(20);
        a->first[i] = at;
        at += below(4);
        at = at > MICROS ? MICROS : at;
    }
    a->first[OPERATIONS] = at;
    for (int32_t m = 0; m < MICROS; m++) {
        bool is_append = rules == TRANSACTIONS_APPEND;
        bool is_read = below(2) == 0;
        bool is_list = is_append && is_read && below(8) > 0;
        a->kind[m] = is_read ? MICRO_READ : is_append ? MICRO_APPEND : MICRO_WRITE;
        a->key[m] = below(KEYS);
        a->value[m] = is_list ? MICRO_NONE : is_append && is_read ? 0 : below(6);
        a->length[m] = is_list ? below(5) : -1;
        a->list[m] = is_list ? below(ITEMS - 5) : -1;
    }
    for (int32_t i = 0; i < ITEMS; i++)
        a->items[i] = 1 + below(5);
}

static void damage(struct arrays *a)
{
    for (int32_t times = below(3); times > 0; times--) {
        int64_t number = anything();
        switch (below(11)) {
        case 0: a->type[below(OPERATIONS)] = (int8_t)number; break;
        case 1: a->process[below(OPERATIONS)] = (int32_t)number; break;
        case 2: a->inv_time[below(OPERATIONS)] = number; break;
        case 3: a->ret_time[below(OPERATIONS)] = number; break;
        case 4: a->first[below(OPERATIONS + 1)] = number; break;
        case 5: a->list[below(MICROS)] = number; break;
        case 6: a->kind[below(MICROS)] = (uint8_t)number; break;
        case 7: a->key[below(MICROS)] = (int32_t)number; break;
        case 8: a->value[below(MICROS)] = (int32_t)(number & 0xffff); break;
        case 9: a->length[below(MICROS)] = (int32_t)number; break;
        default: a->items[below(ITEMS)] = (int32_t)(number < 0 ? -1 : number & 0xffff); break;
        }
    }
}

static bool is_right(const struct transactions_outcome *outcome)
{
    bool seen[OPERATIONS] = {false};
    if (outcome->status != TRANSACTIONS_DONE)
        return outcome->status == TRANSACTIONS_MALFORMED && outcome->order_n == 0;
    for (int32_t i = 0; i < outcome->order_n; i++) {
        int32_t operation = outcome->order[i];
        if (operation < 0 || operation >= OPERATIONS || seen[operation])
            return false;
        seen[operation] = true;
    }
    return true;
}

/* Judge one case: whether the outcome is right; *judged counts those that were not refused. */
static bool try_one(long *judged)
{
    struct arrays a;
    int32_t rules = below(2);
    fill(&a, rules);
    damage(&a);
    int64_t n = a.first[OPERATIONS];
    struct columns columns = {.n = OPERATIONS, .type = a.type, .process = a.process,
                              .inv = a.events, .ret = a.events, .inv_time = a.inv_time,
                              .ret_time = a.ret_time};
    struct micro micro = {.operations = OPERATIONS, .n = n < 0 || n > MICROS ? MICROS : n,
                          .first = a.first, .kind = a.kind, .key = a.key, .value = a.value,
                          .list = a.list, .length = a.length, .keys_n = KEYS, .items_n = ITEMS,
                          .items = a.items};
    struct transactions_options options = {
        .rules = rules, .process = below(2) == 1, .realtime = below(2) == 1,
        .keep_edges = below(2) == 1, .anomalies_max = below(4), .graph = {2, 0, 100000, 100000}};
    struct transactions_outcome outcome;
    transactions_judge(&columns, &micro, &options, &outcome);
    bool right = is_right(&outcome);
    *judged += outcome.status == TRANSACTIONS_DONE;
    transactions_free(&outcome);
    return right;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    state = strtoull(argv[2], NULL, 10) * 2 + 1;
    long judged = 0;
    for (long cases = strtol(argv[1], NULL, 10); cases > 0; cases--)
        if (!try_one(&judged)) {
            fprintf(stderr, "a wrong outcome, with %ld cases to go\n", cases);
            return 1;
        }
    printf("judged %ld\n", judged);
    return 0;
}
