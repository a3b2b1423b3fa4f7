/* See digest.h. */
#include "digest.h"

#include <string.h>

uint64_t digest_bytes(uint64_t digest, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ at[i]) * 0x100000001b3u;
    return digest;
}

uint64_t digest_words(uint64_t digest, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    size_t left = size;
    for (; left >= sizeof(uint64_t); at += sizeof(uint64_t), left -= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        digest = (digest ^ word) * 0x9E3779B97F4A7C15u;
        digest ^= digest >> 29;
    }
    return digest_bytes(digest, at, left);
}
