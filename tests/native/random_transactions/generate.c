/* generate.c: see generate.h. */
#include "generate.h"

#include <string.h>

#define NOBODY (-1)

struct written {
    int32_t value, by;
    bool is_open; /* its transaction may still fail */
};

struct log {
    int32_t n;
    struct written at[GENERATE_LOG_MAX];
};

struct running {
    int32_t operation;
    int32_t next; /* micro-operation */
    bool is_begun, is_over, fails;
    int32_t seen[GENERATE_KEYS_MAX]; /* lengths of the logs at its start */
};

struct database {
    struct generate_history *history;
    int32_t level;
    struct log logs[GENERATE_KEYS_MAX];
    int32_t fresh[GENERATE_KEYS_MAX]; /* the last value that was written */
    int32_t n_running;
    struct running running[GENERATE_OPERATIONS_MAX];
};

uint64_t generate_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

int32_t generate_below(uint64_t *seed, int32_t n)
{
    return (int32_t)(generate_random(seed) % (uint64_t)n);
}

bool generate_is_before(const struct generate_transaction *a, const struct generate_transaction *b)
{
    return a->type == COLUMNS_OK && a->ret_time < b->inv_time;
}

bool generate_precedes(const struct generate_transaction *a, const struct generate_transaction *b)
{
    return a->type == COLUMNS_OK && a->process == b->process && a->inv < b->inv;
}

/*
 * Whether a list would show an append that others come to stand before. A list is a log here; in a
 * database that lets this happen it would be overwritten, which is another matter.
 */
static bool is_merged(const struct database *db, const struct generate_transaction *t, int32_t m)
{
    bool is_written = false;
    for (int32_t i = 0; i < m; i++)
        is_written = is_written ||
                     (t->micros[i].kind != MICRO_READ && t->micros[i].key == t->micros[m].key);
    return is_written && db->history->is_append && db->level >= GENERATE_LOST_UPDATE &&
           db->level <= GENERATE_COMMITTED;
}

static void draw_micros(struct database *db, struct generate_transaction *t, int32_t reads,
                        bool repeats, uint64_t *seed)
{
    struct generate_history *h = db->history;
    t->n = 1 + generate_below(seed, generate_below(seed, 4) ? 3 : GENERATE_MICROS_MAX);
    for (int32_t m = 0; m < t->n; m++) {
        struct generate_micro *micro = &t->micros[m];
        micro->key = generate_below(seed, h->keys_n);
        micro->start = micro->length = -1;
        micro->value = -1;
        if (generate_below(seed, 100) < reads && !is_merged(db, t, m)) {
            micro->kind = MICRO_READ;
            continue;
        }
        micro->kind = h->is_append ? MICRO_APPEND : MICRO_WRITE;
        int32_t *fresh = &db->fresh[micro->key];
        if (repeats && *fresh > 0 && generate_below(seed, 4) == 0) {
            micro->value = 1 + generate_below(seed, *fresh);
            h->is_ambiguous = true;
        } else {
            micro->value = ++*fresh;
        }
    }
}

/* Answer a read with the beginning of a log, and with what the transaction wrote itself. */
static void answer(struct database *db, struct generate_transaction *t, int32_t m, int32_t length,
                   bool with_own)
{
    struct generate_history *h = db->history;
    struct generate_micro *micro = &t->micros[m];
    const struct log *log = &db->logs[micro->key];
    if (!h->is_append) {
        micro->value = length > 0 ? log->at[length - 1].value : 0;
        for (int32_t i = 0; with_own && i < m; i++)
            if (t->micros[i].kind != MICRO_READ && t->micros[i].key == micro->key)
                micro->value = t->micros[i].value;
        return;
    }
    micro->start = h->answers_n;
    for (int32_t i = 0; i < length; i++)
        h->answers[h->answers_n++] = log->at[i].value;
    for (int32_t i = 0; with_own && i < m; i++)
        if (t->micros[i].kind != MICRO_READ && t->micros[i].key == micro->key)
            h->answers[h->answers_n++] = t->micros[i].value;
    micro->length = h->answers_n - micro->start;
}

static void put(struct database *db, int32_t operation, const struct generate_micro *micro,
                bool is_open)
{
    struct log *log = &db->logs[micro->key];
    log->at[log->n++] = (struct written){micro->value, operation, is_open};
}

static void put_all(struct database *db, int32_t operation)
{
    const struct generate_transaction *t = &db->history->transactions[operation];
    for (int32_t m = 0; m < t->n; m++)
        if (t->micros[m].kind != MICRO_READ)
            put(db, operation, &t->micros[m], false);
}

/* All at one instant. */
static void execute(struct database *db, int32_t operation, bool takes_effect)
{
    struct generate_transaction *t = &db->history->transactions[operation];
    for (int32_t m = 0; m < t->n; m++)
        if (t->micros[m].kind == MICRO_READ)
            answer(db, t, m, db->logs[t->micros[m].key].n, true);
    if (takes_effect)
        put_all(db, operation);
}

/* How much of a log a read sees that waits for no writer and sees none that may fail. */
static int32_t settled(const struct log *log, int32_t operation)
{
    int32_t length = 0;
    while (length < log->n && (!log->at[length].is_open || log->at[length].by == operation))
        length++;
    return length;
}

static void begin(struct database *db, struct running *r)
{
    for (int32_t k = 0; k < GENERATE_KEYS_MAX; k++)
        r->seen[k] = db->logs[k].n;
    r->is_begun = true;
}

/* The next micro-operation. */
static void advance(struct database *db, struct running *r)
{
    struct generate_transaction *t = &db->history->transactions[r->operation];
    struct generate_micro *micro = &t->micros[r->next];
    int32_t now = db->logs[micro->key].n;
    bool is_dirty = db->level == GENERATE_DIRTY_WRITE || db->level == GENERATE_DIRTY_READ;
    if (!r->is_begun)
        begin(db, r);
    if (micro->kind != MICRO_READ) {
        if (is_dirty)
            put(db, r->operation, micro, true);
    } else if (db->level == GENERATE_DIRTY_READ) {
        answer(db, t, r->next, now, false);
    } else if (db->level == GENERATE_DIRTY_WRITE) {
        answer(db, t, r->next, settled(&db->logs[micro->key], r->operation), false);
    } else {
        answer(db, t, r->next, db->level == GENERATE_COMMITTED ? now : r->seen[micro->key], true);
    }
    r->next++;
}

static bool is_stale(const struct database *db, const struct running *r)
{
    const struct generate_transaction *t = &db->history->transactions[r->operation];
    for (int32_t m = 0; m < t->n; m++) {
        int32_t key = t->micros[m].key;
        bool is_written = false;
        for (int32_t i = 0; i < t->n; i++)
            is_written = is_written || (t->micros[i].key == key && t->micros[i].kind != MICRO_READ);
        bool counts = db->level == GENERATE_SNAPSHOT ? is_written : !is_written;
        if (counts && db->logs[key].n != r->seen[key])
            return true;
    }
    return false;
}

/* Take back what a failed transaction wrote. */
static void take_back(struct database *db, int32_t operation)
{
    for (int32_t k = 0; k < GENERATE_KEYS_MAX; k++) {
        struct log *log = &db->logs[k];
        int32_t kept = 0;
        for (int32_t i = 0; i < log->n; i++)
            if (log->at[i].by != operation)
                log->at[kept++] = log->at[i];
        log->n = kept;
    }
}

/* Whether in a dirty database what it read of a key that it wrote is what it should be. */
static bool saw_itself(const struct database *db, const struct generate_transaction *t)
{
    for (int32_t m = 0; m < t->n; m++) {
        if (t->micros[m].kind != MICRO_READ)
            continue;
        for (int32_t i = 0; i < m; i++) {
            if (t->micros[i].kind == MICRO_READ || t->micros[i].key != t->micros[m].key)
                continue;
            bool is_seen = t->micros[m].value == t->micros[i].value;
            for (int32_t e = 0; e < t->micros[m].length; e++)
                is_seen = is_seen || db->history->answers[t->micros[m].start + e] ==
                                         t->micros[i].value;
            if (!is_seen)
                return false;
        }
    }
    return true;
}

/* Commit, or not: whether it took effect. */
static bool finish(struct database *db, struct running *r)
{
    const struct generate_transaction *t = &db->history->transactions[r->operation];
    bool fails = r->fails;
    r->is_over = true;
    if (db->level == GENERATE_DIRTY_WRITE)
        fails = fails || !saw_itself(db, t);
    if (db->level == GENERATE_SNAPSHOT || db->level == GENERATE_LOST_UPDATE)
        fails = fails || is_stale(db, r);
    if (db->level == GENERATE_DIRTY_WRITE || db->level == GENERATE_DIRTY_READ) {
        if (fails && db->level == GENERATE_DIRTY_WRITE)
            take_back(db, r->operation);
        for (int32_t k = 0; k < GENERATE_KEYS_MAX; k++)
            for (int32_t i = 0; i < db->logs[k].n; i++)
                if (db->logs[k].at[i].by == r->operation)
                    db->logs[k].at[i].is_open = false;
    } else if (!fails) {
        put_all(db, r->operation);
    }
    return !fails;
}

/* Reads of what is not ok are unknown. */
static void forget(struct generate_transaction *t)
{
    for (int32_t m = 0; m < t->n; m++)
        if (t->micros[m].kind == MICRO_READ)
            t->micros[m].value = t->micros[m].start = t->micros[m].length = -1;
}

static bool is_at_once(int32_t level)
{
    return level <= GENERATE_SERIAL;
}

/* Transactions at an instant of their own choice: before all is asked, in some order. */
static void execute_all(struct database *db, const bool *fails, uint64_t *seed)
{
    struct generate_history *h = db->history;
    bool is_done[GENERATE_OPERATIONS_MAX] = {false};
    for (int32_t left = h->n; left > 0; left--) {
        int32_t place = generate_below(seed, left), i = 0;
        for (;; i++)
            if (!is_done[i] && place-- == 0)
                break;
        if (db->level == GENERATE_SESSION)
            for (int32_t j = 0; j < h->n; j++)
                if (!is_done[j] && h->transactions[j].process == h->transactions[i].process &&
                    h->transactions[j].inv < h->transactions[i].inv)
                    i = j;
        is_done[i] = true;
        execute(db, i, !fails[i]);
    }
}

/* One answer that goes wrong. */
static void change(struct generate_history *h, uint64_t *seed)
{
    int32_t reads[GENERATE_LOG_MAX][2], n = 0;
    for (int32_t i = 0; i < h->n; i++)
        for (int32_t m = 0; m < h->transactions[i].n; m++)
            if (h->transactions[i].type == COLUMNS_OK &&
                h->transactions[i].micros[m].kind == MICRO_READ) {
                reads[n][0] = i;
                reads[n++][1] = m;
            }
    if (n == 0)
        return;
    h->is_changed = true;
    int32_t at = generate_below(seed, n), other = generate_below(seed, n);
    struct generate_micro *micro = &h->transactions[reads[at][0]].micros[reads[at][1]];
    const struct generate_micro *from = &h->transactions[reads[other][0]].micros[reads[other][1]];
    int32_t most = generate_below(seed, 8) ? 4 : 12, drawn = generate_below(seed, 6);
    if (!h->is_append) {
        micro->value = drawn < 3 ? from->value : generate_below(seed, most);
        return;
    }
    int32_t start = h->answers_n, length = drawn < 3 ? from->length : micro->length;
    const int32_t *source = h->answers + (drawn < 3 ? from->start : micro->start);
    for (int32_t e = 0; e < length; e++)
        h->answers[h->answers_n++] = source[e];
    if (drawn == 3 && length > 0)
        h->answers_n--;
    if (drawn == 4)
        h->answers[h->answers_n++] = 1 + generate_below(seed, most);
    if (drawn == 5 && length > 1) {
        int32_t a = start + generate_below(seed, length), b = start + generate_below(seed, length);
        int32_t held = h->answers[a];
        h->answers[a] = h->answers[b];
        h->answers[b] = held;
    }
    micro->start = start;
    micro->length = h->answers_n - start;
}

static void complete(struct generate_history *h, int32_t i, bool is_done, int32_t crash,
                     int64_t time, int32_t *event, uint64_t *seed)
{
    struct generate_transaction *t = &h->transactions[i];
    bool is_lost = generate_below(seed, 100) < crash;
    t->type = is_lost ? COLUMNS_INFO : is_done ? COLUMNS_OK : COLUMNS_FAIL;
    if (is_lost && generate_below(seed, 2)) { /* open at the end */
        t->ret_time = 0;
        return;
    }
    t->ret_time = time;
    if (!is_lost)
        t->ret = *event;
    ++*event;
}

static void draw(struct generate_history *h, struct database *db, int32_t wanted, bool repeats,
                 uint64_t *seed)
{
    int32_t width = 1 + generate_below(seed, wanted), tie = generate_below(seed, 3) ? 0 : 50;
    int32_t crash = generate_below(seed, 3) ? 0 : 10 + generate_below(seed, 40);
    int32_t abort = generate_below(seed, 2) ? 0 : 5 + generate_below(seed, 30);
    int32_t reads = 25 + generate_below(seed, 60), event = 0, next_process = 0, idle_n = 0;
    int32_t idle[GENERATE_OPERATIONS_MAX];
    bool fails[GENERATE_OPERATIONS_MAX] = {false};
    int64_t time = 0;
    while (h->n < wanted || db->n_running > 0) {
        time += generate_below(seed, 100) >= tie;
        bool may_start = h->n < wanted && db->n_running < width;
        if (may_start && (db->n_running == 0 || generate_below(seed, 4) == 0)) {
            struct generate_transaction *t = &h->transactions[h->n];
            *t = (struct generate_transaction){.inv = event++, .ret = -1, .inv_time = time};
            t->process = idle_n > 0 ? idle[--idle_n] : next_process++;
            draw_micros(db, t, reads, repeats, seed);
            fails[h->n] = generate_below(seed, 100) < abort;
            db->running[db->n_running++] =
                (struct running){.operation = h->n, .fails = fails[h->n]};
            h->n++;
            continue;
        }
        int32_t place = generate_below(seed, db->n_running);
        struct running *r = &db->running[place];
        struct generate_transaction *t = &h->transactions[r->operation];
        if (!is_at_once(db->level) && r->next < t->n) {
            advance(db, r);
            continue;
        }
        if (!r->is_over) {
            if (db->level == GENERATE_STRICT)
                execute(db, r->operation, !r->fails);
            else if (!is_at_once(db->level))
                r->fails = !finish(db, r);
            r->is_over = true;
            continue;
        }
        complete(h, r->operation, !r->fails, crash, time, &event, seed);
        if (t->type != COLUMNS_INFO)
            idle[idle_n++] = t->process;
        db->running[place] = db->running[--db->n_running];
    }
    if (db->level == GENERATE_SESSION || db->level == GENERATE_SERIAL)
        execute_all(db, fails, seed);
}

void generate(struct generate_history *history, const struct generate_options *options,
              uint64_t *seed)
{
    static const int32_t OFTEN[] = {
        GENERATE_STRICT, GENERATE_STRICT, GENERATE_SESSION, GENERATE_SERIAL, GENERATE_SERIAL};
    static struct database db;
    struct generate_history *h = history;
    int32_t often = (int32_t)(sizeof OFTEN / sizeof *OFTEN);
    int32_t drawn = generate_below(seed, GENERATE_LEVELS + often);
    db.level = options->level >= 0 ? options->level
               : drawn < GENERATE_LEVELS ? drawn : OFTEN[drawn - GENERATE_LEVELS];
    db.history = h;
    db.n_running = 0;
    for (int32_t k = 0; k < GENERATE_KEYS_MAX; k++)
        db.logs[k].n = db.fresh[k] = 0;
    h->n = h->answers_n = 0;
    h->level = db.level;
    h->is_append = options->is_append;
    h->is_changed = h->is_ambiguous = false;
    h->keys_n = 1 + generate_below(seed, 3);
    int32_t wanted = 1 + generate_below(seed, options->operations_max);
    int32_t again = 1 + generate_below(seed, options->operations_max);
    wanted = again > wanted ? again : wanted; /* short ones show little */
    bool repeats = !options->is_sound && generate_below(seed, 40) == 0;
    draw(h, &db, wanted, repeats, seed);
    for (int32_t i = 0; i < h->n; i++)
        if (h->transactions[i].type != COLUMNS_OK)
            forget(&h->transactions[i]);
    if (!options->is_sound && generate_below(seed, 4) == 0)
        for (int32_t times = 1 + generate_below(seed, 2); times > 0; times--)
            change(h, seed);
    generate_columns(h);
}
