/*
 * rows.c: rows of micro-operations (see rows.h).
 */
#include "row.h"

#include <stdlib.h>

#include "edn.h"

/* Refuse a history as one of transactions. */
static bool refuse(struct load *l, const struct event *event, const uint8_t *at,
                   const char *expected, const char *of, struct span got)
{
    l->rows.is_refused = true;
    l->loaded.index = event && event->has_index ? event->index : l->last_index + 1;
    return load_fail(l, LOAD_MALFORMED, at, "expected %s%s '%.*s'", expected, of,
                     SPAN_SHOWN(got));
}

/* What stands here, for a message. */
static struct span shown(const struct load *l, const uint8_t *at)
{
    const uint8_t *end = at;
    while (end < l->end && *end != '\n' && end - at < 24)
        end++;
    while (end > at && end < l->end && (*end & 0xc0) == 0x80)
        end--; /* not in the middle of a character */
    return (struct span){at, (size_t)(end - at)};
}

static bool refuse_shape(struct load *l, const struct event *event, const uint8_t *at)
{
    return refuse(l, event, at,
                  "a micro-operation [r key value], [w key value] or [append key value]", ", got",
                  shown(l, at));
}

/* The kind of micro-operation whose name begins here, or -1; `*end` is after it. */
static int kind_at(const uint8_t *at, const uint8_t *limit, const uint8_t **end)
{
    struct span name = {at + 1, 0};
    *end = at;
    if (at >= limit || (*at != ':' && *at != '"'))
        return -1;
    while (name.at + name.length < limit && (name.at[name.length] | 0x20) >= 'a' &&
           (name.at[name.length] | 0x20) <= 'z')
        name.length++;
    *end = name.at + name.length;
    if (*at == '"' && (*end >= limit || *(*end)++ != '"'))
        return -1;
    if (*at == ':' && *end < limit && !edn_is_end(**end)) /* :w12 */
        return -1;
    if (SPAN_IS(name, "r") || SPAN_IS(name, "read"))
        return MICRO_READ;
    if (SPAN_IS(name, "append"))
        return MICRO_APPEND;
    return SPAN_IS(name, "w") || SPAN_IS(name, "write") ? MICRO_WRITE : -1;
}

/* After blanks and commas. */
static const uint8_t *skip_apart(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (is_blank(*at) || *at == ','))
        at++;
    return at;
}

bool rows_look(const struct load *l)
{
    const uint8_t *end, *at = skip_apart(l->at + 1, l->end);
    if (at < l->end && (*at == ']' || *at == ')'))
        return true;
    if (at >= l->end || (*at != '[' && *at != '('))
        return false;
    return kind_at(skip_apart(at + 1, l->end), l->end, &end) >= 0;
}

/* Check an answer without making a value of it. */
static bool check_answer(struct load *l, const struct notation *notation, bool *has_answers)
{
    const uint8_t *start = l->at;
    bool skips = l->skips;
    l->skips = true;
    bool is_read = notation->form(l, 3) >= 0;
    l->skips = skips;
    struct span text = {start, (size_t)(l->at - start)};
    *has_answers |= !SPAN_IS(text, "nil") && !SPAN_IS(text, "null");
    return is_read;
}

/* Read the answer of a read. */
static bool read_answer(struct load *l, const struct notation *notation, enum answers answers,
                        struct row_item *item)
{
    struct list_read read = {LIST_NONE, LIST_NONE};
    bool is_read, counts = answers == ANSWERS_COUNTED;
    if (*l->at == '[' || *l->at == '(') {
        is_read = lists_read(l, notation, item->key, counts, &read);
    } else {
        item->value = notation->form(l, 3);
        is_read = item->value >= 0;
        if (is_read && l->values.tags[item->value] == LOAD_LIST) { /* behind a tag, or a set */
            const int32_t *none = NULL;
            size_t n = intern_length(&l->values, item->value) / sizeof *none, from = l->stack_n;
            for (size_t i = 0; is_read && i < n; i++) {
                int32_t id;
                memcpy(&id, intern_bytes(&l->values, item->value) + i * sizeof id, sizeof id);
                is_read = value_push(l, id);
            }
            l->stack_n = from;
            item->value = MICRO_NONE;
            is_read = is_read && lists_take(l, l->stack + from, n, item->key, counts, &read);
        }
    }
    item->list = read.list;
    item->length = read.length;
    return is_read;
}

/* The number of a key from the id of its value; one that has a number is not looked up. */
static int32_t number_of(struct load *l, int32_t value)
{
    struct rows *rows = &l->rows;
    size_t id = (size_t)value;
    if (id < rows->key_of_n && rows->key_of[id])
        return rows->key_of[id] - 1;
    if (id >= rows->key_of_capacity) {
        void *moved = load_grown(rows->key_of, &rows->key_of_capacity, id + 1,
                                 sizeof *rows->key_of);
        if (!moved) {
            load_no_memory(l);
            return -1;
        }
        rows->key_of = moved;
    }
    while (rows->key_of_n <= id)
        rows->key_of[rows->key_of_n++] = 0;
    int32_t number = intern_word(&rows->keys, LOAD_INTEGER, value);
    if (number < 0)
        load_no_memory(l);
    rows->key_of[id] = number + 1;
    return number;
}

/* Read the rest of a micro-operation after its bracket. */
static bool read_parts(struct load *l, const struct event *event, const struct notation *notation,
                       const uint8_t *start, enum answers answers, struct row_item *item,
                       bool *has_answers)
{
    if (!notation->more(l, start, 3, true))
        return refuse_shape(l, event, start);
    const uint8_t *end;
    int kind = kind_at(l->at, l->end, &end);
    if (kind < 0 && end == l->end)
        return load_fail(l, LOAD_SYNTAX, end, "expected a micro-operation, the text ends");
    if (kind < 0 || (*l->at == ':' && !notation->has_keywords))
        return refuse_shape(l, event, start);
    l->at = end;
    *item = (struct row_item){LIST_NONE, 0, MICRO_NONE, MICRO_NONE, (uint8_t)kind};
    if (!notation->more(l, start, 3, false))
        return refuse_shape(l, event, start);
    int32_t key = notation->form(l, 3);
    if (key < 0)
        return false;
    item->key = number_of(l, key);
    if (item->key < 0)
        return false;
    if (!notation->more(l, start, 3, false))
        return refuse_shape(l, event, start);
    if (kind != MICRO_READ) {
        item->value = notation->form(l, 3);
        if (item->value < 0)
            return false;
    } else if (answers == ANSWERS_CHECKED ? !check_answer(l, notation, has_answers)
                                          : !read_answer(l, notation, answers, item)) {
        return false;
    }
    return !notation->more(l, start, 3, false) || refuse_shape(l, event, start);
}

bool row_read(struct load *l, const struct event *event, const struct notation *notation,
              enum answers answers, bool *has_answers)
{
    struct rows *rows = &l->rows;
    const uint8_t *start = l->at++;
    rows->read_n = 0;
    while (notation->more(l, start, 2, rows->read_n == 0)) {
        const uint8_t *micro = l->at;
        if (*micro != '[' && (*micro != '(' || !notation->has_keywords))
            return refuse_shape(l, event, micro);
        if (rows->read_n == LOAD_ITEMS_MAX)
            return load_fail(l, LOAD_SYNTAX, micro, "expected at most %d items", LOAD_ITEMS_MAX);
        LOAD_GROW(rows->read, rows->read_capacity, rows->read_n + 1);
        l->at++;
        if (!read_parts(l, event, notation, micro, answers, &rows->read[rows->read_n++],
                        has_answers) ||
            l->loaded.status != LOAD_OK)
            return false;
    }
    return l->loaded.status == LOAD_OK;
}

/* Read a value as one that is no row. */
static bool read_other(struct load *l, struct event *event)
{
    const uint8_t *start = l->at;
    event->row.at = NULL;
    event->value = event->notation->form(l, 1);
    if (event->is_client || event->notation->has_keywords || event->value < 0)
        return event->value >= 0;
    event->value = value_of_json(l, (struct span){start, (size_t)(l->at - start)});
    return event->value >= 0;
}

/* Read a value of an event that is known. What did not happen may say anything. */
static bool read_of(struct load *l, struct event *event)
{
    const uint8_t *start = l->at;
    enum answers answers = event->type == LOAD_EVENT_OK ? ANSWERS_COUNTED : ANSWERS_CHECKED;
    bool may_be_other = event->type == LOAD_EVENT_FAIL || event->type == LOAD_EVENT_INFO;
    event->row_is_read = true;
    event->has_answers = false;
    event->value = VALUE_OF_ROW;
    if (row_read(l, event, event->notation, answers, &event->has_answers))
        return true;
    if (!may_be_other || !l->rows.is_refused)
        return false;
    l->rows.is_refused = false;
    l->loaded.status = LOAD_OK;
    l->loaded.index = -1;
    l->message[0] = 0;
    l->at = start;
    return read_other(l, event);
}

bool rows_value(struct load *l, struct event *event, const struct notation *notation)
{
    bool is_known = event->has_process && event->type != EVENT_NONE, is_read;
    event->row.at = l->at;
    event->notation = notation;
    if (is_known) {
        is_read = read_of(l, event);
    } else {
        l->skips = true;
        is_read = notation->form(l, 1) >= 0;
        l->skips = false;
    }
    if (event->row.at)
        event->row.length = (size_t)(l->at - event->row.at);
    return is_read;
}

/* Whether a value is a list that begins with a list of three. */
static bool is_of_three(const struct load *l, int32_t value)
{
    int32_t item;
    if (value <= 0 || l->values.tags[value] != LOAD_LIST ||
        intern_length(&l->values, value) < sizeof item)
        return false;
    memcpy(&item, intern_bytes(&l->values, value), sizeof item);
    return l->values.tags[item] == LOAD_LIST &&
           intern_length(&l->values, item) == 3 * sizeof item;
}

bool rows_name(struct load *l, struct event *event)
{
    if (event->f >= 0 || !event->has_process || !event->is_client)
        return true;
    bool is_one = l->rows.mode == LOAD_TRANSACTIONS || event->row.at ||
                  is_of_three(l, event->value);
    return !is_one || event_set_f(l, event, (struct span){(const uint8_t *)"txn", 3});
}

bool rows_settle(struct load *l, struct event *event)
{
    const uint8_t *at = l->at;
    l->at = event->row.at;
    bool is_row = event->is_client && rows_begin(l, event);
    bool is_read = is_row ? read_of(l, event) : read_other(l, event);
    l->at = at;
    return is_read;
}

void rows_compose(struct load *l, struct event *event)
{
    event->row = (struct span){l->at, 0};
    event->row_is_read = true;
    event->has_answers = false;
    event->value = VALUE_OF_ROW;
}

bool rows_add(struct load *l, uint8_t kind, int32_t key, int32_t value)
{
    struct rows *rows = &l->rows;
    int32_t number = number_of(l, key);
    if (number < 0)
        return false;
    LOAD_GROW(rows->read, rows->read_capacity, rows->read_n + 1);
    rows->read[rows->read_n++] = (struct row_item){LIST_NONE, number, value, MICRO_NONE, kind};
    return true;
}

bool rows_admit(struct load *l, const struct event *event)
{
    struct rows *rows = &l->rows;
    bool asks = event->type == LOAD_EVENT_INVOKE;
    if (event->row.at) {
        if (rows->mode == LOAD_ANY_TRANSACTIONS && rows->read_n)
            rows->mode = LOAD_TRANSACTIONS;
        return true;
    }
    if (!asks && event->type != LOAD_EVENT_OK)
        return true;
    if (rows->mode == LOAD_ANY_TRANSACTIONS && l->n == 0) {
        rows->mode = LOAD_NO_TRANSACTIONS;
        return true;
    }
    struct span f = {intern_bytes(&l->fs, event->f), intern_length(&l->fs, event->f)};
    return refuse(l, event, event->at, "a list of micro-operations as the value",
                  asks ? ", as of other operations, of" : ", with what was read, of an ok", f);
}

/* Room for more micro-operations in the arrays. */
static bool reserve(struct load *l, size_t more)
{
    struct rows *rows = &l->rows;
    size_t needed = rows->n + more, capacities[5];
    if (needed <= rows->capacity)
        return true;
    for (int i = 0; i < 5; i++)
        capacities[i] = rows->capacity;
    LOAD_GROW(rows->kind, capacities[0], needed);
    LOAD_GROW(rows->key, capacities[1], needed);
    LOAD_GROW(rows->value, capacities[2], needed);
    LOAD_GROW(rows->length, capacities[3], needed);
    LOAD_GROW(rows->list, capacities[4], needed);
    rows->capacity = capacities[4];
    return true;
}

bool row_append(struct load *l)
{
    struct rows *rows = &l->rows;
    if (!reserve(l, rows->read_n))
        return false;
    for (size_t i = 0; i < rows->read_n; i++) {
        const struct row_item *item = &rows->read[i];
        size_t at = rows->n++;
        rows->kind[at] = item->kind;
        rows->key[at] = item->key;
        rows->value[at] = item->value;
        rows->list[at] = item->list;
        rows->length[at] = item->length;
    }
    return true;
}

static bool add_late(struct load *l, int32_t operation, const struct event *event)
{
    struct rows *rows = &l->rows;
    LOAD_GROW(rows->late, rows->late_capacity, rows->late_n + 1);
    rows->late[rows->late_n++] = (struct row_late){
        event->row, event->notation, operation, event->type != LOAD_EVENT_INVOKE, false};
    return true;
}

bool rows_invoke(struct load *l, int32_t operation, const struct event *event, size_t *answers)
{
    struct rows *rows = &l->rows;
    *answers = 0;
    LOAD_GROW(rows->first, rows->first_capacity, (size_t)operation + 2);
    rows->first[operation] = (int64_t)rows->n;
    if (!row_append(l))
        return false;
    for (size_t i = (size_t)rows->first[operation]; i < rows->n; i++)
        if (rows->kind[i] == MICRO_READ) /* no answer is known yet */
            rows->value[i] = MICRO_NONE;
    rows->first[operation + 1] = (int64_t)rows->n;
    if (!event->has_answers)
        return true;
    *answers = rows->late_n + 1;
    return add_late(l, operation, event);
}

/* Whether the row that was read last has the micro-operations of an operation; answers apart. */
static bool is_alike(const struct rows *rows, int32_t operation)
{
    size_t first = (size_t)rows->first[operation], n = (size_t)rows->first[operation + 1] - first;
    if (n != rows->read_n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct row_item *item = &rows->read[i];
        size_t at = first + i;
        bool is_written = item->kind == MICRO_READ || item->value == rows->value[at];
        if (item->kind != rows->kind[at] || item->key != rows->key[at] || !is_written)
            return false;
    }
    return true;
}

bool rows_complete(struct load *l, int32_t operation, const struct event *event, size_t answers,
                   bool *is_same)
{
    struct rows *rows = &l->rows;
    bool has_row = event->row.at != NULL, is_ok = event->type == LOAD_EVENT_OK;
    bool is_row = has_row && is_alike(rows, operation) && !event->has_answers;
    *is_same = is_row && (is_ok || !answers); /* a failed one may lack what its invocation holds */
    if (!is_ok)
        return is_row || !has_row || add_late(l, operation, event);
    if (!is_row) {
        struct span f = {intern_bytes(&l->fs, event->f), intern_length(&l->fs, event->f)};
        return refuse(l, event, event->at, "the micro-operations of the invocation", ", of an ok",
                      f);
    }
    size_t at = (size_t)rows->first[operation];
    for (size_t i = 0; i < rows->read_n; i++, at++) {
        rows->value[at] = rows->read[i].value;
        rows->list[at] = rows->read[i].list;
        rows->length[at] = rows->read[i].length;
    }
    if (answers) {
        struct row_late *late = &rows->late[answers - 1];
        late->is_same = late->text.length == event->row.length &&
                        memcmp(late->text.at, event->row.at, late->text.length) == 0;
    }
    return true;
}

void rows_free(struct load *l)
{
    struct rows *rows = &l->rows;
    void *const all[] = {rows->key_of, rows->first, rows->kind, rows->key, rows->value,
                         rows->length, rows->list, rows->read, rows->late, rows->others, rows->key_values,
                         rows->items, rows->longest, rows->longest_length};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    intern_free(&rows->keys);
    intern_free(&rows->ended);
    lists_free(&l->lists);
}
