/* axioms.c: see axioms.h. */
#include "axioms.h"

#include <string.h>

static const struct generate_transaction *at(const struct axioms *a, int32_t i)
{
    return &a->history->transactions[i];
}

static const struct generate_micro *micro_of(const struct axioms *a, int32_t i, int32_t m)
{
    return &a->history->transactions[i].micros[m];
}

static bool is_write(const struct generate_micro *micro)
{
    return micro->kind != MICRO_READ;
}

bool axioms_writes(const struct axioms *a, int32_t i, int32_t key)
{
    if (i == AXIOMS_INITIAL)
        return true;
    for (int32_t m = 0; m < at(a, i)->n; m++)
        if (is_write(micro_of(a, i, m)) && micro_of(a, i, m)->key == key)
            return true;
    return false;
}

struct written {
    int32_t by, m; /* NONE: nobody */
};

static struct written find_write(const struct axioms *a, int32_t key, int32_t value)
{
    for (int32_t i = 0; i < a->history->n; i++)
        for (int32_t m = 0; m < at(a, i)->n; m++)
            if (is_write(micro_of(a, i, m)) && micro_of(a, i, m)->key == key &&
                micro_of(a, i, m)->value == value)
                return (struct written){i, m};
    return (struct written){AXIOMS_NONE, AXIOMS_NONE};
}

static bool is_last_write(const struct axioms *a, struct written w)
{
    for (int32_t m = w.m + 1; m < at(a, w.by)->n; m++)
        if (is_write(micro_of(a, w.by, m)) && micro_of(a, w.by, m)->key == micro_of(a, w.by, w.m)->key)
            return false;
    return true;
}

/* Whom a value that others wrote was read from; NONE if that cannot be. */
static int32_t source_of(const struct axioms *a, int32_t reader, int32_t key, int32_t value)
{
    struct written w = find_write(a, key, value);
    bool is_fine = w.by != AXIOMS_NONE && w.by != reader && at(a, w.by)->type != COLUMNS_FAIL &&
                   is_last_write(a, w);
    return is_fine ? w.by : AXIOMS_NONE;
}

/* Resolve read m of transaction i, by what the transaction wrote before. */
static void resolve(struct axioms *a, int32_t i, int32_t m)
{
    const struct generate_micro *read = micro_of(a, i, m);
    const int32_t *list = a->history->answers + read->start;
    int32_t own[GENERATE_MICROS_MAX], own_n = 0;
    for (int32_t before = 0; before < m; before++)
        if (is_write(micro_of(a, i, before)) && micro_of(a, i, before)->key == read->key)
            own[own_n++] = micro_of(a, i, before)->value;
    if (!a->history->is_append) {
        if (own_n > 0)
            a->is_possible = a->is_possible && read->value == own[own_n - 1];
        else if (read->value == 0)
            a->source[i][m] = AXIOMS_INITIAL;
        else
            a->source[i][m] = source_of(a, i, read->key, read->value);
        a->is_possible = a->is_possible && (own_n > 0 || a->source[i][m] != AXIOMS_NONE);
        return;
    }
    int32_t outer = read->length - own_n;
    if (outer < 0 || memcmp(list + outer, own, (size_t)own_n * sizeof *own) != 0) {
        a->is_possible = false;
        return;
    }
    a->source[i][m] =
        outer == 0 ? AXIOMS_INITIAL : source_of(a, i, read->key, list[outer - 1]);
    a->is_possible = a->is_possible && a->source[i][m] != AXIOMS_NONE;
    for (int32_t e = 0; e < outer; e++) {
        struct written w = find_write(a, read->key, list[e]);
        if (w.by == AXIOMS_NONE || w.by == i || at(a, w.by)->type == COLUMNS_FAIL)
            a->is_possible = false;
    }
}

/* Whether two reads of one transaction show the same of what others wrote. */
static bool agree(const struct axioms *a, int32_t i, int32_t m, int32_t other)
{
    return micro_of(a, i, m)->key != micro_of(a, i, other)->key ||
           a->source[i][m] == AXIOMS_NONE || a->source[i][other] == AXIOMS_NONE ||
           a->source[i][m] == a->source[i][other];
}

static bool is_seen(const struct axioms *a, int32_t writer)
{
    const struct generate_history *h = a->history;
    for (int32_t w = 0; w < at(a, writer)->n; w++)
        for (int32_t i = 0; i < h->n; i++)
            for (int32_t m = 0; m < at(a, i)->n; m++) {
                const struct generate_micro *read = micro_of(a, i, m), *write;
                write = micro_of(a, writer, w);
                if (at(a, i)->type != COLUMNS_OK || is_write(read) || !is_write(write) ||
                    read->key != write->key)
                    continue;
                if (!h->is_append && read->value == write->value)
                    return true;
                for (int32_t e = 0; h->is_append && e < read->length; e++)
                    if (h->answers[read->start + e] == write->value)
                        return true;
            }
    return false;
}

static void close_reaches(struct axioms *a)
{
    int32_t n = a->history->n;
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < n; j++)
            a->reaches[i][j] = a->session[i][j] || a->reads[i][j];
    for (int32_t k = 0; k < n; k++)
        for (int32_t i = 0; i < n; i++)
            for (int32_t j = 0; j < n; j++)
                a->reaches[i][j] |= a->reaches[i][k] && a->reaches[k][j];
}

void axioms_open(struct axioms *a, const struct generate_history *history, bool has_sessions)
{
    int32_t n = history->n;
    memset(a, 0, sizeof *a);
    a->history = history;
    a->has_sessions = has_sessions;
    a->is_possible = a->is_repeatable = true;
    for (int32_t i = 0; i < n; i++)
        for (int32_t m = 0; m < at(a, i)->n; m++) {
            const struct generate_micro *micro = micro_of(a, i, m);
            struct written w = find_write(a, micro->key, micro->value);
            a->source[i][m] = AXIOMS_NONE;
            a->is_ambiguous |= is_write(micro) && (w.by != i || w.m != m || micro->value == 0);
        }
    for (int32_t i = 0; i < n; i++)
        for (int32_t m = 0; m < at(a, i)->n; m++)
            if (at(a, i)->type == COLUMNS_OK && !is_write(micro_of(a, i, m)))
                resolve(a, i, m);
    for (int32_t i = 0; i < n; i++) {
        a->counts[i] = at(a, i)->type == COLUMNS_OK ||
                       (at(a, i)->type == COLUMNS_INFO && is_seen(a, i));
        for (int32_t m = 0; m < at(a, i)->n; m++) {
            int32_t source = a->source[i][m];
            if (source != AXIOMS_NONE && source != AXIOMS_INITIAL)
                a->reads[source][i] = true;
            for (int32_t other = 0; other < m; other++)
                a->is_repeatable = a->is_repeatable && agree(a, i, m, other);
        }
    }
    for (int32_t i = 0; i < n && has_sessions; i++)
        for (int32_t j = 0; j < n; j++)
            a->session[i][j] = a->counts[i] && a->counts[j] && at(a, i)->type == COLUMNS_OK &&
                               generate_precedes(at(a, i), at(a, j));
    close_reaches(a);
}

/* An order, as the place of each transaction. */
struct order {
    int32_t n, line[AXIOMS_OPERATIONS_MAX], place[AXIOMS_OPERATIONS_MAX];
};

static bool is_visible(const struct axioms *a, enum axioms_level level, const struct order *order,
                       int32_t t2, int32_t t3, int32_t read)
{
    switch (level) {
    case AXIOMS_READ_COMMITTED:
        for (int32_t m = 0; m < read; m++)
            if (a->source[t3][m] == t2)
                return true;
        return false;
    case AXIOMS_READ_ATOMIC:
        return a->session[t2][t3] || a->reads[t2][t3];
    case AXIOMS_CAUSAL:
        return a->reaches[t2][t3];
    case AXIOMS_SERIALIZABLE:
        return order->place[t2] < order->place[t3];
    case AXIOMS_PREFIX:
    case AXIOMS_SNAPSHOT:
        for (int32_t i = order->place[t2]; i < order->n; i++)
            if (a->session[order->line[i]][t3] || a->reads[order->line[i]][t3])
                return true;
        if (level == AXIOMS_PREFIX)
            return false;
        for (int32_t i = order->place[t2]; i < order->place[t3]; i++)
            for (int32_t key = 0; key < a->history->keys_n; key++)
                if (axioms_writes(a, order->line[i], key) && axioms_writes(a, t3, key))
                    return true;
        return false;
    default:
        return false;
    }
}

/* Whether a list that was read is a beginning of all appends in the order. */
static bool is_beginning(const struct axioms *a, const struct order *order,
                         const struct generate_micro *read)
{
    int32_t length = 0;
    for (int32_t i = 0; i < order->n; i++)
        for (int32_t m = 0; m < at(a, order->line[i])->n; m++) {
            const struct generate_micro *micro = micro_of(a, order->line[i], m);
            if (!is_write(micro) || micro->key != read->key || length == read->length)
                continue;
            if (a->history->answers[read->start + length++] != micro->value)
                return false;
        }
    return length == read->length;
}

static bool fits(const struct axioms *a, enum axioms_level level, const struct order *order)
{
    for (int32_t i = 0; i < order->n; i++)
        for (int32_t j = 0; j < i; j++)
            if (a->session[order->line[i]][order->line[j]] ||
                a->reads[order->line[i]][order->line[j]])
                return false;
    for (int32_t i = 0; i < order->n; i++) {
        int32_t t3 = order->line[i];
        for (int32_t m = 0; m < at(a, t3)->n && at(a, t3)->type == COLUMNS_OK; m++) {
            const struct generate_micro *read = micro_of(a, t3, m);
            int32_t t1 = a->source[t3][m];
            if (a->history->is_append && !is_write(read) && !is_beginning(a, order, read))
                return false;
            for (int32_t j = 0; t1 != AXIOMS_NONE && j < order->n; j++) {
                int32_t t2 = order->line[j];
                bool is_after = t1 == AXIOMS_INITIAL || order->place[t2] > order->place[t1];
                if (t2 != t1 && t2 != t3 && axioms_writes(a, t2, read->key) && is_after &&
                    is_visible(a, level, order, t2, t3, m))
                    return false;
            }
        }
    }
    return true;
}

static bool try_all(const struct axioms *a, enum axioms_level level, struct order *order)
{
    bool is_full = true;
    for (int32_t i = 0; i < a->history->n; i++) {
        if (!a->counts[i] || order->place[i] != AXIOMS_NONE)
            continue;
        is_full = false;
        bool is_free = true; /* what it must come after is in the order */
        for (int32_t j = 0; j < a->history->n; j++)
            is_free = is_free && (order->place[j] != AXIOMS_NONE || !a->reaches[j][i] || j == i);
        if (!is_free)
            continue;
        order->place[i] = order->n;
        order->line[order->n++] = i;
        if (try_all(a, level, order))
            return true;
        order->n--;
        order->place[i] = AXIOMS_NONE;
    }
    return is_full && fits(a, level, order);
}

bool axioms_allow(const struct axioms *a, enum axioms_level level)
{
    struct order order = {0};
    if (!a->is_possible || (level >= AXIOMS_READ_ATOMIC && !a->is_repeatable))
        return false;
    memset(order.place, 0xFF, sizeof order.place);
    return try_all(a, level, &order);
}

bool axioms_is_order(const struct axioms *a, enum axioms_level level, const int32_t *line,
                     int32_t n)
{
    struct order order = {0};
    memset(order.place, 0xFF, sizeof order.place);
    for (int32_t i = 0; i < n; i++) {
        if (n > AXIOMS_OPERATIONS_MAX || line[i] < 0 || line[i] >= a->history->n ||
            !a->counts[line[i]] || order.place[line[i]] != AXIOMS_NONE)
            return false;
        order.place[line[i]] = order.n;
        order.line[order.n++] = line[i];
    }
    for (int32_t i = 0; i < a->history->n; i++)
        if (a->counts[i] && order.place[i] == AXIOMS_NONE)
            return false;
    return fits(a, level, &order);
}
