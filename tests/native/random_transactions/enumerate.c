/* enumerate.c: see enumerate.h. */
#include "enumerate.h"

#include <string.h>

struct held {
    int32_t n; /* of a list; of a register 1 once it was written */
    int32_t at[GENERATE_LOG_MAX];
};

struct search {
    const struct generate_history *history;
    enum enumerate_demand demand;
    struct held keys[GENERATE_KEYS_MAX];
    int32_t version[GENERATE_KEYS_MAX]; /* commits that wrote the key */
    int32_t seen[GENERATE_OPERATIONS_MAX][GENERATE_KEYS_MAX]; /* versions at the start */
};

static const struct generate_transaction *at(const struct search *s, int32_t i)
{
    return &s->history->transactions[i];
}

/* The value of a register; 0 is nil. */
static int32_t current(const struct held *held)
{
    return held->n > 0 ? held->at[0] : 0;
}

static bool is_answer(const struct search *s, const struct generate_micro *micro,
                      const struct held *held)
{
    if (!s->history->is_append)
        return micro->value == current(held);
    return micro->length == held->n &&
           memcmp(s->history->answers + micro->start, held->at,
                  sizeof(int32_t) * (size_t)held->n) == 0;
}

static void put(const struct search *s, struct held *held, int32_t value)
{
    if (!s->history->is_append)
        held->n = 0;
    held->at[held->n++] = value;
}

/* Do a transaction on the state, which stays as far as it came; whether its answers are right. */
static bool replay(struct search *s, const struct generate_transaction *t)
{
    for (int32_t m = 0; m < t->n; m++) {
        struct held *held = &s->keys[t->micros[m].key];
        if (t->micros[m].kind != MICRO_READ)
            put(s, held, t->micros[m].value);
        else if (t->type == COLUMNS_OK && !is_answer(s, &t->micros[m], held))
            return false;
    }
    return true;
}

struct mark {
    int32_t n[GENERATE_KEYS_MAX], value[GENERATE_KEYS_MAX];
};

static struct mark mark(const struct search *s)
{
    struct mark made = {{0}, {0}};
    for (int32_t k = 0; k < s->history->keys_n; k++) {
        made.n[k] = s->keys[k].n;
        made.value[k] = s->keys[k].at[0];
    }
    return made;
}

static void restore(struct search *s, const struct mark *made)
{
    for (int32_t k = 0; k < s->history->keys_n; k++) {
        s->keys[k].n = made->n[k];
        s->keys[k].at[0] = made->value[k];
    }
}

static bool must_precede(const struct search *s, int32_t i, int32_t j)
{
    return (s->demand >= ENUMERATE_PROCESS && generate_precedes(at(s, i), at(s, j))) ||
           (s->demand == ENUMERATE_REALTIME && generate_is_before(at(s, i), at(s, j)));
}

/* Whether all that must precede i are no longer among `left`. */
static bool is_free(const struct search *s, int32_t i, uint64_t left)
{
    for (int32_t j = 0; j < s->history->n; j++)
        if (left >> j & 1 && j != i && must_precede(s, j, i))
            return false;
    return true;
}

static bool is_over(const struct search *s, uint64_t left)
{
    for (int32_t i = 0; i < s->history->n; i++)
        if (left >> i & 1 && at(s, i)->type == COLUMNS_OK)
            return false;
    return true;
}

static bool is_read(const struct search *s, int32_t key, int32_t value)
{
    for (int32_t i = 0; i < s->history->n; i++)
        for (int32_t m = 0; m < at(s, i)->n; m++) {
            const struct generate_micro *micro = &at(s, i)->micros[m];
            if (micro->kind != MICRO_READ || micro->key != key)
                continue;
            if (micro->value == value)
                return true;
            for (int32_t e = 0; e < micro->length; e++)
                if (s->history->answers[micro->start + e] == value)
                    return true;
        }
    return false;
}

/*
 * All that may take effect. One that nobody knows about, and of which nobody read anything, is left
 * out: an order with it is an order without it.
 */
static uint64_t everyone(const struct search *s)
{
    uint64_t all = 0;
    for (int32_t i = 0; i < s->history->n; i++) {
        bool counts = at(s, i)->type == COLUMNS_OK;
        for (int32_t m = 0; at(s, i)->type == COLUMNS_INFO && m < at(s, i)->n; m++)
            counts = counts || (at(s, i)->micros[m].kind != MICRO_READ &&
                                is_read(s, at(s, i)->micros[m].key, at(s, i)->micros[m].value));
        all |= counts ? UINT64_C(1) << i : 0;
    }
    return all;
}

static bool has_order(struct search *s, uint64_t left)
{
    if (is_over(s, left))
        return true;
    for (int32_t i = 0; i < s->history->n; i++) {
        uint64_t without = left & ~(UINT64_C(1) << i);
        if (without == left || !is_free(s, i, left))
            continue;
        struct mark before = mark(s);
        if (replay(s, at(s, i)) && has_order(s, without))
            return true;
        restore(s, &before);
    }
    return false;
}

static struct search begin(const struct generate_history *history, enum enumerate_demand demand)
{
    struct search s;
    s.history = history;
    s.demand = demand;
    for (int32_t k = 0; k < GENERATE_KEYS_MAX; k++)
        s.keys[k].n = s.keys[k].at[0] = s.version[k] = 0;
    return s;
}

bool enumerate_serializable(const struct generate_history *history, enum enumerate_demand demand)
{
    struct search s = begin(history, demand);
    return has_order(&s, everyone(&s));
}

static bool writes(const struct generate_transaction *t, int32_t key)
{
    for (int32_t m = 0; m < t->n; m++)
        if (t->micros[m].kind != MICRO_READ && t->micros[m].key == key)
            return true;
    return false;
}

/*
 * Whether nothing can happen between the two points: what writes nothing commits when it starts,
 * and what reads nothing starts when it commits. Both lose nothing by it.
 */
static bool is_instant(const struct generate_transaction *t)
{
    bool has_read = false, has_written = false;
    for (int32_t m = 0; m < t->n; m++) {
        has_read = has_read || t->micros[m].kind == MICRO_READ;
        has_written = has_written || t->micros[m].kind != MICRO_READ;
    }
    return t->type != COLUMNS_OK || !has_read || !has_written;
}

static bool commit(struct search *s, int32_t i)
{
    const struct generate_transaction *t = at(s, i);
    for (int32_t k = 0; k < s->history->keys_n; k++) {
        if (!writes(t, k))
            continue;
        if (s->version[k] != s->seen[i][k])
            return false;
        s->version[k]++;
    }
    for (int32_t m = 0; m < t->n; m++)
        if (t->micros[m].kind != MICRO_READ)
            put(s, &s->keys[t->micros[m].key], t->micros[m].value);
    return true;
}

static bool has_points(struct search *s, uint64_t unbegun, uint64_t open);

static bool try_start(struct search *s, int32_t i, uint64_t unbegun, uint64_t open)
{
    struct mark before = mark(s);
    bool is_right = replay(s, at(s, i));
    restore(s, &before);
    if (!is_right)
        return false;
    for (int32_t k = 0; k < s->history->keys_n; k++)
        s->seen[i][k] = s->version[k];
    uint64_t bit = UINT64_C(1) << i;
    return has_points(s, unbegun & ~bit, open | bit);
}

static bool try_commit(struct search *s, int32_t i, uint64_t unbegun, uint64_t open)
{
    struct mark before = mark(s);
    int32_t version[GENERATE_KEYS_MAX];
    memcpy(version, s->version, sizeof version);
    if (commit(s, i) && has_points(s, unbegun, open & ~(UINT64_C(1) << i)))
        return true;
    restore(s, &before);
    memcpy(s->version, version, sizeof version);
    return false;
}

static bool has_points(struct search *s, uint64_t unbegun, uint64_t open)
{
    if (open == 0 && is_over(s, unbegun))
        return true;
    for (int32_t i = 0; i < s->history->n; i++)
        if (open >> i & 1 && is_instant(at(s, i)))
            return try_commit(s, i, unbegun, open);
    for (int32_t i = 0; i < s->history->n; i++) {
        if (open >> i & 1 && try_commit(s, i, unbegun, open))
            return true;
        if (unbegun >> i & 1 && is_free(s, i, unbegun | open) && try_start(s, i, unbegun, open))
            return true;
    }
    return false;
}

bool enumerate_snapshot(const struct generate_history *history, enum enumerate_demand demand)
{
    struct search s = begin(history, demand);
    return has_points(&s, everyone(&s), 0);
}

bool enumerate_is_order(const struct generate_history *history, enum enumerate_demand demand,
                        const int32_t *order, int32_t n)
{
    struct search s = begin(history, demand);
    uint64_t left = 0;
    for (int32_t i = 0; i < history->n; i++)
        left |= at(&s, i)->type != COLUMNS_FAIL ? UINT64_C(1) << i : 0;
    for (int32_t place = 0; place < n; place++) {
        int32_t i = order[place];
        if (i < 0 || i >= history->n || !(left >> i & 1))
            return false;
        for (int32_t later = place + 1; later < n; later++)
            if (order[later] >= 0 && order[later] < history->n && must_precede(&s, order[later], i))
                return false;
        left &= ~(UINT64_C(1) << i);
        if (!replay(&s, at(&s, i)))
            return false;
    }
    return is_over(&s, left);
}
