/*
 * rows_finish.c: what can be said of rows when all of them were read (see rows.h).
 */
#include <stdlib.h>

#include "row.h"

static int by_operation(const void *left, const void *right)
{
    const struct load_row *a = left, *b = right;
    if (a->operation != b->operation)
        return a->operation < b->operation ? -1 : 1;
    return (a->is_completion > b->is_completion) - (a->is_completion < b->is_completion);
}

/* Read the values that had to wait. */
static bool read_late(struct load *l)
{
    struct rows *rows = &l->rows;
    const uint8_t *at = l->at, *end = l->end;
    bool has_answers, is_read = true;
    rows->others = calloc(rows->late_n + 1, sizeof *rows->others);
    if (!rows->others)
        return load_no_memory(l);
    for (size_t i = 0; is_read && i < rows->late_n; i++) {
        const struct row_late *late = &rows->late[i];
        struct load_row *row = &rows->others[i];
        *row = (struct load_row){0, -1, late->operation, late->is_completion};
        if (late->is_same)
            continue;
        l->at = late->text.at;
        l->end = l->at + late->text.length;
        row->first = (int64_t)rows->n;
        is_read = row_read(l, NULL, late->notation, ANSWERS_KEPT, &has_answers) && row_append(l);
        row->count = (int32_t)rows->read_n;
    }
    l->at = at;
    l->end = end;
    qsort(rows->others, rows->late_n, sizeof *rows->others, by_operation);
    return is_read;
}

/* Give every value that is a row its id. */
static bool number_rows(struct load *l)
{
    if ((int64_t)l->values.n + 2 * (int64_t)l->n > INT32_MAX)
        return load_fail(l, LOAD_SYNTAX, l->end,
                         "expected at most 2^31 values, where each transaction counts as two");
    for (int32_t i = 0; i < l->n; i++) {
        l->value_in[i] = l->a[i] = l->values.n + 2 * i;
        if (l->type[i] == COLUMNS_OK)
            l->value_out[i] = l->value_in[i] + 1;
    }
    for (size_t i = 0; i < l->details_n; i++) {
        struct load_detail *detail = &l->details[i];
        if (detail->value == VALUE_OF_ROW)
            detail->value = l->values.n + 2 * detail->operation + (detail->is_completion != 0);
    }
    return true;
}

/* Let reads of 0 be reads of the initial value, unless somebody writes 0. */
static void initialise(struct load *l)
{
    struct rows *rows = &l->rows;
    int32_t zero = intern_word(&l->values, LOAD_INTEGER, 0);
    for (size_t i = 0; i < rows->n; i++)
        if (zero < 0 || (rows->value[i] == zero && rows->kind[i] != MICRO_READ))
            return;
    for (size_t i = 0; i < rows->n; i++) {
        l->loaded.zeros += rows->value[i] == zero;
        rows->value[i] = rows->value[i] == zero ? 0 : rows->value[i];
    }
}

static void publish(struct load *l, size_t n, int64_t items_n)
{
    const struct rows *rows = &l->rows;
    l->loaded.has_rows = true;
    l->loaded.rows = rows->others;
    l->loaded.rows_n = (int64_t)rows->late_n;
    l->loaded.micro = (struct micro){
        .operations = l->n, .n = (int64_t)n, .first = rows->first, .kind = rows->kind,
        .key = rows->key, .value = rows->value, .list = rows->list, .length = rows->length,
        .keys_n = rows->keys.n, .keys = rows->key_values, .longest = rows->longest,
        .longest_length = rows->longest_length, .items_n = items_n, .items = rows->items,
    };
}

bool rows_finish(struct load *l)
{
    struct rows *rows = &l->rows;
    size_t n = rows->n;
    int64_t items_n;
    if (rows->mode == LOAD_NO_TRANSACTIONS || (rows->mode == LOAD_ANY_TRANSACTIONS && l->n == 0))
        return true;
    if (rows->mode == LOAD_ANY_TRANSACTIONS) { /* every operation is an empty list */
        rows->is_refused = true;
        return load_fail(l, LOAD_MALFORMED, l->end, "no transaction has a micro-operation");
    }
    LOAD_GROW(rows->first, rows->first_capacity, 1);
    if (l->n == 0)
        rows->first[0] = 0;
    if (l->loaded.timeless)
        initialise(l);
    if (!read_late(l))
        return false;
    size_t keys_n = (size_t)rows->keys.n;
    rows->key_values = malloc((keys_n ? keys_n : 1) * sizeof *rows->key_values);
    if (!rows->key_values)
        return load_no_memory(l);
    for (size_t i = 0; i < keys_n; i++)
        rows->key_values[i] = (int32_t)rows->keys.words[i];
    if (!lists_finish(l, keys_n, &rows->items, &items_n, &rows->longest, &rows->longest_length))
        return false;
    for (size_t i = 0; i < rows->n; i++)
        rows->list[i] = lists_place(&l->lists, rows->longest, items_n, rows->key[i], rows->list[i],
                                    rows->length[i]);
    if (!number_rows(l))
        return false;
    publish(l, n, items_n);
    return true;
}
