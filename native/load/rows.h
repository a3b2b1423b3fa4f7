/*
 * rows.h: values that are lists of micro-operations, from text to the arrays of micro.h.
 *
 * What a transaction did is a row: its micro-operations in order. The row of an invocation is kept,
 * and an ok completion writes into it what was read, because nothing else may differ. A value that
 * holds more than that (an invocation that has answers already, a failed completion that has some)
 * is read when all other lists are known, so that nothing but ok completions decides which list of
 * a key is the longest. On an error the functions set it, and return false.
 */
#ifndef DISSEVER_ROWS_H
#define DISSEVER_ROWS_H

#include "lists.h"
#include "record.h"

/* In place of the id of a value, until `rows_finish` gives it one: a row. */
#define VALUE_OF_ROW (-1)

/* Whether the value that begins here looks like micro-operations, or is an empty list. */
bool rows_look(const struct load *l);

/* Whether the value of an event that begins here is to be read as a row. */
static inline bool rows_begin(const struct load *l, const struct event *event)
{
    bool is_list = l->at < l->end && (*l->at == '[' || *l->at == '(');
    if (l->rows.mode == LOAD_NO_TRANSACTIONS || !is_list)
        return false;
    if (event->has_process && !event->is_client)
        return false;
    bool may_be_other = event->type == LOAD_EVENT_FAIL || event->type == LOAD_EVENT_INFO;
    return (l->rows.mode == LOAD_TRANSACTIONS && !may_be_other) || rows_look(l);
}

/*
 * Read such a value. If it is not known yet what event it is of, it is checked only, and
 * `rows_settle` reads it.
 */
bool rows_value(struct load *l, struct event *event, const struct notation *notation);

/*
 * Let an event without f be a `txn`: where all operations are transactions, and else where the
 * value is a list of lists of three.
 */
bool rows_name(struct load *l, struct event *event);

/* Read what was only checked, now that the event is whole; what is none after all as any value. */
bool rows_settle(struct load *l, struct event *event);

/*
 * For formats that are no events: add a micro-operation to the row, and let an event have the row
 * that was added. Key and value are ids of values; the row is emptied by `rows.read_n = 0`.
 */
bool rows_add(struct load *l, uint8_t kind, int32_t key, int32_t value);
void rows_compose(struct load *l, struct event *event);

/*
 * Decide by the first operation that is not empty whether this is a history of transactions. Then
 * refuse an event of a client that is none. A refusal without `LOAD_TRANSACTIONS` means that the
 * history is to be read again as an ordinary one: `is_refused` says so.
 */
bool rows_admit(struct load *l, const struct event *event);

/* Keep the row of an invocation. Sets `answers` to a number that `rows_complete` needs. */
bool rows_invoke(struct load *l, int32_t operation, const struct event *event, size_t *answers);

/* Let a completion end an operation. Sets `is_same` to whether the row says all of its value. */
bool rows_complete(struct load *l, int32_t operation, const struct event *event, size_t answers,
                   bool *is_same);

/* After the last event: give every row its id, and publish the arrays. */
bool rows_finish(struct load *l);

void rows_free(struct load *l);

#endif
