/* expect.c: see expect.h. */
#include "expect.h"

#include <string.h>

#define MAX GENERATE_OPERATIONS_MAX
#define NOBODY (-1)

enum kind { WW = 1, WR = 2, RW = 4, PROCESS = 8, REALTIME = 16 };

struct edges {
    int32_t n;
    uint8_t kinds[MAX][MAX]; /* of each pair all kinds that join it */
};

typedef bool reach_t[MAX][MAX];

static bool is_read(const struct generate_micro *micro)
{
    return micro->kind == MICRO_READ;
}

static const int32_t *elements(const struct generate_history *h, const struct generate_micro *m)
{
    return h->answers + m->start;
}

/* Who wrote a value to a key, failed or not; NOBODY. */
static int32_t writer(const struct generate_history *h, int32_t key, int32_t value)
{
    for (int32_t i = 0; i < h->n; i++)
        for (int32_t m = 0; m < h->transactions[i].n; m++) {
            const struct generate_micro *micro = &h->transactions[i].micros[m];
            if (!is_read(micro) && micro->key == key && micro->value == value)
                return i;
        }
    return NOBODY;
}

static bool is_failed(const struct generate_history *h, int32_t i)
{
    return h->transactions[i].type == COLUMNS_FAIL;
}

/* Whether a transaction writes the key again after it has written this value. */
static bool is_intermediate(const struct generate_transaction *t, int32_t key, int32_t value)
{
    bool is_seen = false;
    for (int32_t m = 0; m < t->n; m++) {
        if (is_read(&t->micros[m]) || t->micros[m].key != key)
            continue;
        if (is_seen)
            return true;
        is_seen = t->micros[m].value == value;
    }
    return false;
}

/*
 * How much of a list stood there before what the transaction appended itself; NOBODY when the list
 * does not end with that.
 */
static int32_t external(const struct generate_history *h, const struct generate_transaction *t,
                        int32_t m)
{
    const struct generate_micro *read = &t->micros[m];
    int32_t length = read->length;
    for (int32_t i = m - 1; i >= 0; i--) {
        if (is_read(&t->micros[i]) || t->micros[i].key != read->key)
            continue;
        if (length == 0 || elements(h, read)[length - 1] != t->micros[i].value)
            return NOBODY;
        length--;
    }
    return length;
}

static bool has_written(const struct generate_transaction *t, int32_t m)
{
    for (int32_t i = 0; i < m; i++)
        if (!is_read(&t->micros[i]) && t->micros[i].key == t->micros[m].key)
            return true;
    return false;
}

static bool is_internal(const struct generate_history *h, const struct generate_transaction *t,
                        int32_t m)
{
    const struct generate_micro *read = &t->micros[m];
    int32_t last = m - 1;
    while (last >= 0 && t->micros[last].key != read->key)
        last--;
    if (last < 0)
        return false;
    if (!h->is_append)
        return read->value != t->micros[last].value;
    if (external(h, t, m) == NOBODY)
        return true;
    for (int32_t i = 0; i < m; i++) {
        if (!is_read(&t->micros[i]) || t->micros[i].key != read->key)
            continue;
        int32_t before = external(h, t, i);
        if (before == NOBODY || before != external(h, t, m) ||
            memcmp(elements(h, read), elements(h, &t->micros[i]),
                   sizeof(int32_t) * (size_t)before) != 0)
            return true;
    }
    return false;
}

static void look_at_value(const struct generate_history *h, int32_t i, int32_t m, int32_t value,
                          struct expect *found)
{
    const struct generate_transaction *t = &h->transactions[i];
    int32_t by = writer(h, t->micros[m].key, value);
    found->has[EXPECT_PHANTOM] |= by == NOBODY;
    found->has[EXPECT_G1A] |= by != NOBODY && is_failed(h, by);
    for (int32_t later = m + 1; later < t->n; later++)
        found->has[EXPECT_FUTURE_READ] |= !is_read(&t->micros[later]) &&
                                          t->micros[later].key == t->micros[m].key &&
                                          t->micros[later].value == value;
}

/* Whether in a list a later append of a transaction stands without an earlier one before it. */
static bool is_disordered(const struct generate_history *h, const struct generate_micro *read,
                          int32_t e)
{
    int32_t value = elements(h, read)[e], by = writer(h, read->key, value);
    if (by == NOBODY || is_failed(h, by))
        return false;
    const struct generate_transaction *t = &h->transactions[by];
    for (int32_t m = 0; m < t->n; m++) {
        if (is_read(&t->micros[m]) || t->micros[m].key != read->key)
            continue;
        if (t->micros[m].value == value)
            return false;
        bool is_seen = false;
        for (int32_t before = 0; before < e; before++)
            is_seen = is_seen || elements(h, read)[before] == t->micros[m].value;
        if (!is_seen)
            return true;
    }
    return false;
}

static void look_at_list(const struct generate_history *h, int32_t i, int32_t m,
                         struct expect *found)
{
    const struct generate_transaction *t = &h->transactions[i];
    const struct generate_micro *read = &t->micros[m];
    const int32_t *list = elements(h, read);
    int32_t before = external(h, t, m);
    bool is_dirty = false;
    for (int32_t e = 0; e < read->length; e++) {
        look_at_value(h, i, m, list[e], found);
        int32_t by = writer(h, read->key, list[e]);
        is_dirty = is_dirty || (by != NOBODY && is_failed(h, by));
        found->has[EXPECT_DIRTY_UPDATE] |= is_dirty && by != NOBODY && !is_failed(h, by);
        found->has[EXPECT_CYCLIC_VERSIONS] |= is_disordered(h, read, e);
        for (int32_t other = 0; other < e; other++)
            found->has[EXPECT_DUPLICATE_ELEMENTS] |= list[other] == list[e];
    }
    before = before == NOBODY ? read->length : before;
    if (before > 0) {
        int32_t by = writer(h, read->key, list[before - 1]);
        found->has[EXPECT_G1B] |= by != NOBODY && by != i && !is_failed(h, by) &&
                                  is_intermediate(&h->transactions[by], read->key,
                                                  list[before - 1]);
    }
}

static void look_at_read(const struct generate_history *h, int32_t i, int32_t m,
                         struct expect *found)
{
    const struct generate_transaction *t = &h->transactions[i];
    int32_t value = t->micros[m].value;
    found->has[EXPECT_INTERNAL] |= is_internal(h, t, m);
    if (h->is_append) {
        look_at_list(h, i, m, found);
    } else if (value != 0) {
        look_at_value(h, i, m, value, found);
        int32_t by = writer(h, t->micros[m].key, value);
        found->has[EXPECT_G1B] |= by != NOBODY && by != i && !is_failed(h, by) &&
                                  is_intermediate(&h->transactions[by], t->micros[m].key, value);
    }
}

static bool writes(const struct generate_transaction *t, int32_t key)
{
    for (int32_t m = 0; m < t->n; m++)
        if (!is_read(&t->micros[m]) && t->micros[m].key == key)
            return true;
    return false;
}

/* Whether two reads show one version, own writes aside. */
static bool is_same(const struct generate_history *h, const struct generate_transaction *a,
                    int32_t m, const struct generate_transaction *b, int32_t n)
{
    const struct generate_micro *one = &a->micros[m], *two = &b->micros[n];
    if (one->key != two->key)
        return false;
    if (!h->is_append)
        return one->value == two->value && !has_written(a, m) && !has_written(b, n);
    int32_t length = external(h, a, m);
    return length != NOBODY && length == external(h, b, n) &&
           memcmp(elements(h, one), elements(h, two), sizeof(int32_t) * (size_t)length) == 0;
}

static bool are_compatible(const struct generate_history *h, const struct generate_micro *a,
                           const struct generate_micro *b)
{
    int32_t length = a->length < b->length ? a->length : b->length;
    return a->key != b->key ||
           memcmp(elements(h, a), elements(h, b), sizeof(int32_t) * (size_t)length) == 0;
}

static void look_at_two(const struct generate_history *h, int32_t i, int32_t m, int32_t j,
                        int32_t n, struct expect *found)
{
    const struct generate_transaction *a = &h->transactions[i], *b = &h->transactions[j];
    if (h->is_append)
        found->has[EXPECT_INCOMPATIBLE_ORDER] |= !are_compatible(h, &a->micros[m], &b->micros[n]);
    if (i != j && is_same(h, a, m, b, n) && writes(a, a->micros[m].key) &&
        writes(b, a->micros[m].key))
        found->has[EXPECT_LOST_UPDATE] = true;
}

/* Whose version of the register a transaction read before it wrote the next one; NOBODY. */
static int32_t predecessor(const struct generate_history *h, int32_t i, int32_t key)
{
    const struct generate_transaction *t = &h->transactions[i];
    for (int32_t m = 0; m < t->n && t->type == COLUMNS_OK && writes(t, key); m++) {
        if (t->micros[m].key != key)
            continue;
        int32_t by = is_read(&t->micros[m]) ? writer(h, key, t->micros[m].value) : NOBODY;
        return by != NOBODY && !is_failed(h, by) ? by : NOBODY;
    }
    return NOBODY;
}

static void look_at_versions(const struct generate_history *h, struct expect *found)
{
    for (int32_t key = 0; key < h->keys_n; key++)
        for (int32_t i = 0; i < h->n; i++) {
            int32_t at = predecessor(h, i, key);
            for (int32_t steps = 0; at != NOBODY && at != i && steps < h->n; steps++)
                at = predecessor(h, at, key);
            found->has[EXPECT_CYCLIC_VERSIONS] |= at == i && predecessor(h, i, key) != i;
        }
}

static void put(struct edges *edges, int32_t from, int32_t to, enum kind kind)
{
    if (from != to)
        edges->kinds[from][to] = (uint8_t)(edges->kinds[from][to] | kind);
}

static const struct generate_micro *longest(const struct generate_history *h, int32_t key)
{
    const struct generate_micro *found = NULL;
    for (int32_t i = 0; i < h->n; i++)
        for (int32_t m = 0; m < h->transactions[i].n; m++) {
            const struct generate_micro *micro = &h->transactions[i].micros[m];
            if (h->transactions[i].type == COLUMNS_OK && is_read(micro) && micro->key == key &&
                (found == NULL || micro->length > found->length))
                found = micro;
        }
    return found;
}

/* The edges from who holds version `place` of the list, 0 is none, to who appended the next. */
static void put_next(const struct generate_history *h, struct edges *edges, int32_t from,
                     int32_t key, int32_t place, enum kind kind)
{
    const struct generate_micro *all = longest(h, key);
    int32_t length = all ? all->length : 0;
    if (place < length) {
        put(edges, from, writer(h, key, elements(h, all)[place]), kind);
        return;
    }
    for (int32_t i = 0; i < h->n; i++)
        for (int32_t m = 0; m < h->transactions[i].n && !is_failed(h, i); m++) {
            const struct generate_micro *micro = &h->transactions[i].micros[m];
            bool is_seen = is_read(micro) || micro->key != key;
            for (int32_t e = 0; !is_seen && e < length; e++)
                is_seen = elements(h, all)[e] == micro->value;
            if (!is_seen)
                put(edges, from, i, kind);
        }
}

static void put_edges(const struct generate_history *h, struct edges *edges)
{
    edges->n = h->n;
    for (int32_t i = 0; i < h->n; i++)
        for (int32_t j = 0; j < h->n; j++)
            edges->kinds[i][j] = 0;
    for (int32_t i = 0; i < h->n; i++)
        for (int32_t j = 0; j < h->n; j++) {
            if (is_failed(h, i) || is_failed(h, j))
                continue;
            if (generate_precedes(&h->transactions[i], &h->transactions[j]))
                put(edges, i, j, PROCESS);
            if (generate_is_before(&h->transactions[i], &h->transactions[j]))
                put(edges, i, j, REALTIME);
        }
    for (int32_t key = 0; key < h->keys_n; key++) {
        const struct generate_micro *all = longest(h, key);
        for (int32_t e = 0; all && e < all->length; e++)
            put_next(h, edges, writer(h, key, elements(h, all)[e]), key, e + 1, WW);
    }
    for (int32_t i = 0; i < h->n; i++)
        for (int32_t m = 0; m < h->transactions[i].n; m++) {
            const struct generate_micro *micro = &h->transactions[i].micros[m];
            if (h->transactions[i].type != COLUMNS_OK || !is_read(micro))
                continue;
            int32_t before = external(h, &h->transactions[i], m);
            if (before > 0)
                put(edges, writer(h, micro->key, elements(h, micro)[before - 1]), i, WR);
            put_next(h, edges, i, micro->key, before, RW);
        }
}

/* What a level adds to the data. */
static const int32_t ADDED[EXPECT_LEVELS] = {0, PROCESS, PROCESS | REALTIME};

/* Which ways lead where, by edges of these kinds. */
static void reach(const struct edges *edges, int32_t kinds, reach_t found)
{
    for (int32_t i = 0; i < edges->n; i++)
        for (int32_t j = 0; j < edges->n; j++)
            found[i][j] = i == j || edges->kinds[i][j] & kinds;
    for (int32_t k = 0; k < edges->n; k++)
        for (int32_t i = 0; i < edges->n; i++)
            for (int32_t j = 0; j < edges->n; j++)
                found[i][j] = found[i][j] || (found[i][k] && found[k][j]);
}

/* Whether a way leads from `from`, which an rw entered, to `to`, without two rw in a row. */
static bool leads_apart(const struct edges *edges, int32_t level, int32_t from, int32_t to)
{
    bool seen[MAX][2] = {{false}};
    int32_t stack[2 * MAX][2], n = 0;
    stack[n][0] = from;
    stack[n++][1] = 1;
    seen[from][1] = true;
    while (n > 0) {
        int32_t i = stack[--n][0], is_after_rw = stack[n][1];
        if (i == to && !is_after_rw)
            return true;
        for (int32_t j = 0; j < edges->n; j++) {
            for (int32_t is_rw = 0; is_rw < 2; is_rw++) {
                int32_t kinds = is_rw ? RW : WW | WR | ADDED[level];
                if ((is_rw && is_after_rw) || !(edges->kinds[i][j] & kinds) || seen[j][is_rw])
                    continue;
                seen[j][is_rw] = true;
                stack[n][0] = j;
                stack[n++][1] = is_rw;
            }
        }
    }
    return false;
}

static void look_at_cycles(const struct edges *edges, struct expect *found)
{
    static reach_t ww, data, all;
    int32_t rung_below[MAX][MAX];
    for (int32_t level = 0; level < EXPECT_LEVELS; level++) {
        reach(edges, WW | ADDED[level], ww);
        reach(edges, WW | WR | ADDED[level], data);
        reach(edges, WW | WR | RW | ADDED[level], all);
        for (int32_t i = 0; i < edges->n; i++)
            for (int32_t j = 0; j < edges->n; j++) {
                int32_t kinds = edges->kinds[i][j], rung = EXPECT_RUNGS;
                if (kinds & WW) /* the strongest kind of a pair counts */
                    rung = ww[j][i] ? 0 : EXPECT_RUNGS;
                else if (kinds & WR)
                    rung = data[j][i] ? 1 : EXPECT_RUNGS;
                else if (kinds & RW && all[j][i])
                    rung = data[j][i] ? 2 : leads_apart(edges, level, j, i) ? 3 : 4;
                if (rung < EXPECT_RUNGS && (level == 0 || rung < rung_below[i][j]))
                    found->cycles[rung][level] = true;
                rung_below[i][j] = rung;
            }
    }
}

void expect(const struct generate_history *h, struct expect *found)
{
    static struct edges edges;
    memset(found, 0, sizeof *found);
    for (int32_t i = 0; i < h->n; i++)
        for (int32_t m = 0; m < h->transactions[i].n; m++) {
            const struct generate_transaction *t = &h->transactions[i];
            if (t->type != COLUMNS_OK || !is_read(&t->micros[m]))
                continue;
            look_at_read(h, i, m, found);
            for (int32_t j = 0; j <= i; j++)
                for (int32_t n = 0; n < h->transactions[j].n; n++)
                    if (h->transactions[j].type == COLUMNS_OK &&
                        is_read(&h->transactions[j].micros[n]))
                        look_at_two(h, i, m, j, n, found);
        }
    if (!h->is_append)
        look_at_versions(h, found);
    found->has_cycles = h->is_append && !h->is_ambiguous;
    for (int32_t a = 0; a < EXPECT_ANOMALIES; a++)
        if (a != EXPECT_G1B && a != EXPECT_LOST_UPDATE)
            found->has_cycles = found->has_cycles && !found->has[a];
    if (!found->has_cycles)
        return;
    put_edges(h, &edges);
    look_at_cycles(&edges, found);
}
