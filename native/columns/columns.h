/*
 * columns.h: the client operations of a history as flat arrays, one entry an operation.
 *
 * They are ordered by invocation. A value is an id. Two ids are equal exactly when types and
 * values are equal: 1, 1.0, "1" and true differ. Id 0 is nil, and key 0 is no key. The engines read
 * columns and never write them.
 */
#ifndef DISSEVER_COLUMNS_H
#define DISSEVER_COLUMNS_H

#include <stdint.h>

enum columns_type { COLUMNS_OK = 0, COLUMNS_FAIL = 1, COLUMNS_INFO = 2 };

struct columns {
    int32_t n;
    const int8_t *type;       /* a columns_type; COLUMNS_INFO also when open at the end */
    const int32_t *process;   /* who asked; for people */
    const uint16_t *f;        /* what was asked: an id of a name */
    const int32_t *key;       /* the object meant: an id of a key, 0 for none */
    const int32_t *value_in;  /* of the invocation; that of a read may be its result already */
    const int32_t *value_out; /* of the ok completion; -1 when there is none */
    const int32_t *a;         /* of cas [old new]: old; else value_in */
    const int32_t *b;         /* of cas [old new]: new; else -1 */
    const int32_t *inv;       /* index of the invocation among all events of the history */
    const int32_t *ret;       /* of the ok or failed completion; -1 when there is none */
    const int64_t *inv_time;  /* ns */
    const int64_t *ret_time;  /* ns, of whatever completion; 0 without one */
};

#endif
