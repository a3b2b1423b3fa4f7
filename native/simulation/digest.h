/* Digests of bytes: equal for equal bytes on every machine. */
#ifndef DISSEVER_SIMULATION_DIGEST_H
#define DISSEVER_SIMULATION_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_START 0xcbf29ce484222325u

/* FNV-1a. */
uint64_t digest_bytes(uint64_t digest, const void *bytes, size_t size);

/* The same purpose, word by word: for pages and entries, which are large and read often. */
uint64_t digest_words(uint64_t digest, const void *bytes, size_t size);

#endif
