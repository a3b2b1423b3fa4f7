/*
 * utf8.h: characters of UTF-8, and the escapes that stand for them in JSON and EDN.
 */
#ifndef DISSEVER_UTF8_H
#define DISSEVER_UTF8_H

#include "reading.h"

static inline bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Bytes of the well-formed character that begins here, of at most `left` (at least 1); or 0. */
size_t utf8_length(const uint8_t *at, size_t left);

/* Where UTF-8 ends: the first byte that is none, or the end. */
const uint8_t *utf8_end(const uint8_t *at, const uint8_t *end);

/* Write a character that UTF-8 has into at most 4 bytes; returns how many. */
size_t utf8_write(uint8_t *to, uint32_t code);

/* Four hexadecimal digits, or -1. */
int32_t utf8_hex4(const uint8_t *at, const uint8_t *end);

/*
 * Resolve the escapes of a text between its quotes, into memory that the next call reuses. Returns
 * false, with the error set, for an escape that is unknown.
 */
bool utf8_unescaped(struct load *l, struct span raw, struct span *text);

#endif
