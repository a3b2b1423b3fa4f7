/*
 * row.h: the row that was read last, which rows.c and rows_finish.c share.
 */
#ifndef DISSEVER_ROW_H
#define DISSEVER_ROW_H

#include "rows.h"

struct row_item {
    int64_t list;
    int32_t key, value, length;
    uint8_t kind;
};

/* A value that is read when all lists are known. */
struct row_late {
    struct span text;
    const struct notation *notation;
    int32_t operation;
    bool is_completion;
    bool is_same; /* an invocation that holds the answers of its completion */
};

/* What is done with answers of reads. */
enum answers { ANSWERS_CHECKED, ANSWERS_KEPT, ANSWERS_COUNTED };

/* Read the row that begins here. `has_answers` stays true, or becomes so. */
bool row_read(struct load *l, const struct event *event, const struct notation *notation,
              enum answers answers, bool *has_answers);

/* Append it to the arrays. */
bool row_append(struct load *l);

#endif
