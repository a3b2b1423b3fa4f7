/* See rules.h. */
#define _GNU_SOURCE
#include "rules.h"

#include "files.h"

#include <errno.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RULES_MAX 32
#define WORD_MAX 128
#define SLOW_MS_MAX 5000 /* A node that waits in a call can only be killed after it. */
#define SECTOR 512

enum action { ACT_FAIL, ACT_SLOW, ACT_TEAR, ACT_FLIP, ACT_COUNT };

static const char *const ACTIONS[ACT_COUNT] = {"fail", "slow", "tear", "flip"};
const char *const operation_names[OP_COUNT] = {
    "open", "read", "write", "fsync", "allocate", "truncate", "rename", "unlink", "folder"};

static const struct {
    const char *name;
    int number;
} ERRORS[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS},
              {"EACCES", EACCES}, {"EAGAIN", EAGAIN}, {"EINTR", EINTR},   {"ENOMEM", ENOMEM},
              {"EFBIG", EFBIG},   {"EMFILE", EMFILE}, {"0", 0}};

struct rule {
    char id[WORD_MAX];
    enum action action;
    unsigned operations; /* bits */
    char path[WORD_MAX]; /* a glob; "" for every path */
    int error;
    int64_t wait_ms;
    double probability;
    uint64_t seed;
    int64_t from;
    int64_t times; /* -1: without end */
    int64_t seen;  /* calls that match */
    int64_t hits;
    int64_t bytes; /* torn off or flipped */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct rule rules[RULES_MAX];
static size_t rule_count;

static struct rule *find(const char *id)
{
    for (size_t i = 0; i < rule_count; i++)
        if (!strcmp(rules[i].id, id))
            return &rules[i];
    return NULL;
}

static int concerns(const struct rule *rule, enum operation operation, const char *path)
{
    if (!(rule->operations & (1U << operation)))
        return 0;
    return !rule->path[0] || !fnmatch(rule->path, path, 0);
}

/* Count a matching call, and draw whether the rule hits it. */
static int hits(struct rule *rule)
{
    rule->seen++;
    if (rule->seen < rule->from || (rule->times >= 0 && rule->hits >= rule->times))
        return 0;
    uint64_t state = rule->seed + (uint64_t)rule->seen;
    if (rule->probability < 1 && random_fraction(&state) >= rule->probability)
        return 0;
    rule->hits++;
    return 1;
}

/* Wait with the lock released, until the time is up or the rule is gone. */
static void wait_for(const struct rule *rule)
{
    char id[WORD_MAX];
    struct timespec until;

    memcpy(id, rule->id, sizeof id);
    clock_gettime(CLOCK_REALTIME, &until);
    int64_t ns = until.tv_nsec + rule->wait_ms % 1000 * 1000000;
    until.tv_sec += rule->wait_ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    while (find(id) && pthread_cond_timedwait(&changed, &lock, &until) != ETIMEDOUT)
        continue;
}

struct verdict rules_judge(enum operation operation, const char *path)
{
    struct verdict verdict = {0};

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (rule->action == ACT_FLIP || !concerns(rule, operation, path))
            continue;
        if (rule->action == ACT_TEAR && operation != OP_WRITE)
            continue;
        if (!hits(rule))
            continue;
        if (rule->action == ACT_SLOW) {
            wait_for(rule); /* The list may be another one afterwards: no harm in going on. */
        } else if (!verdict.fails && !verdict.is_torn) {
            uint64_t state = rule->seed ^ (uint64_t)rule->seen;
            verdict.fails = rule->error;
            verdict.is_torn = rule->action == ACT_TEAR;
            verdict.part = random_fraction(&state);
        }
    }
    pthread_mutex_unlock(&lock);
    return verdict;
}

int rules_may_flip(enum operation operation)
{
    int may = 0;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < rule_count; i++)
        may |= rules[i].action == ACT_FLIP && (rules[i].operations & (1U << operation));
    pthread_mutex_unlock(&lock);
    return may;
}

/* Flip at most one bit of each sector: the same one of the same sector, every time. */
static void flip(struct rule *rule, uint64_t inode, unsigned char *bytes, size_t length,
                 off_t offset)
{
    off_t end = offset + (off_t)length;

    for (off_t sector = offset / SECTOR; sector * SECTOR < end; sector++) {
        uint64_t state = rule->seed ^ (inode * UINT64_C(0xd6e8feb86659fd93)) ^ (uint64_t)sector;
        if (random_fraction(&state) >= rule->probability)
            continue;
        uint64_t bit = random_next(&state) % (SECTOR * 8);
        off_t at = sector * SECTOR + (off_t)(bit / 8);
        if (at < offset || at >= end || (rule->times >= 0 && rule->bytes >= rule->times))
            continue;
        bytes[at - offset] ^= (unsigned char)(1U << bit % 8);
        rule->bytes++;
    }
}

void rules_flip(enum operation operation, const char *path, uint64_t inode,
                unsigned char *bytes, size_t length, off_t offset)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (rule->action != ACT_FLIP || !concerns(rule, operation, path))
            continue;
        int64_t before = rule->bytes;
        if (++rule->seen >= rule->from)
            flip(rule, inode, bytes, length, offset);
        rule->hits += rule->bytes > before;
    }
    pthread_mutex_unlock(&lock);
}

/* The place of a word among names, or -1. */
static int place(const char *word, const char *const *names, int count)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(word, names[i]))
            return i;
    return -1;
}

static int read_operations(char *words, unsigned *operations)
{
    char *rest = NULL;

    *operations = 0;
    for (char *word = strtok_r(words, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        int operation = place(word, operation_names, OP_COUNT);
        if (!strcmp(word, "all"))
            *operations = (1U << OP_COUNT) - 1;
        else if (operation < 0)
            return -1;
        else
            *operations |= 1U << operation;
    }
    return *operations ? 0 : -1;
}

static int read_error(const char *word, int *error)
{
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++) {
        if (!strcmp(word, ERRORS[i].name)) {
            *error = ERRORS[i].number;
            return 0;
        }
    }
    return -1;
}

static int read_number(const char *word, uint64_t most, uint64_t *number)
{
    char *end = NULL;

    errno = 0;
    *number = strtoull(word, &end, 10);
    return errno || end == word || *end || *word == '-' || *number > most ? -1 : 0;
}

static int read_count(const char *word, int64_t most, int64_t *count)
{
    uint64_t number;
    int failure = read_number(word, (uint64_t)most, &number);

    *count = (int64_t)number;
    return failure;
}

static int read_probability(const char *word, double *probability)
{
    char *end = NULL;

    *probability = strtod(word, &end);
    return end == word || *end || !(*probability >= 0 && *probability <= 1) ? -1 : 0;
}

/* Read one word, `KEY=VALUE`, into a rule. NULL, or what was expected. */
static const char *read_word(struct rule *rule, char *word)
{
    char *value = strchr(word, '=');

    if (!value)
        return "expected KEY=VALUE";
    *value++ = 0;
    if (!strcmp(word, "do")) {
        int action = place(value, ACTIONS, ACT_COUNT);
        rule->action = (enum action)action;
        return action < 0 ? "expected do=fail, slow, tear or flip" : NULL;
    }
    if (!strcmp(word, "op"))
        return read_operations(value, &rule->operations) ? "unknown operation" : NULL;
    if (!strcmp(word, "errno"))
        return read_error(value, &rule->error) ? "unknown errno" : NULL;
    if (!strcmp(word, "ms"))
        return read_count(value, SLOW_MS_MAX, &rule->wait_ms) ? "expected ms from 0 to 5000" : NULL;
    if (!strcmp(word, "probability"))
        return read_probability(value, &rule->probability) ? "expected 0 to 1" : NULL;
    if (!strcmp(word, "seed"))
        return read_number(value, UINT64_MAX, &rule->seed) ? "expected a number as seed" : NULL;
    if (!strcmp(word, "from"))
        return read_count(value, INT64_MAX, &rule->from) ? "expected from=N" : NULL;
    if (!strcmp(word, "times"))
        return read_count(value, INT64_MAX, &rule->times) ? "expected times=N" : NULL;
    if (!strcmp(word, "path")) {
        if (strlen(value) >= sizeof rule->path)
            return "the path is too long";
        strcpy(rule->path, value);
        return NULL;
    }
    return "unknown key";
}

const char *rules_add(char *line)
{
    char *rest = NULL, *id = strtok_r(line, " ", &rest);
    struct rule rule = {.operations = (1U << OP_COUNT) - 1,
                        .action = ACT_COUNT,
                        .error = EIO,
                        .probability = 1,
                        .from = 1,
                        .times = -1};

    if (!id || strlen(id) >= sizeof rule.id || strspn(id, "abcdefghijklmnopqrstuvwxyz"
                                                          "0123456789-") != strlen(id))
        return "expected an ID of a-z, 0-9 and -";
    strcpy(rule.id, id);
    for (char *word = strtok_r(NULL, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        const char *wrong = read_word(&rule, word);
        if (wrong)
            return wrong;
    }
    if (rule.action == ACT_COUNT)
        return "expected do=fail, slow, tear or flip";
    if (rule.action == ACT_FAIL && !rule.error)
        return "a call cannot fail with errno 0";
    const char *wrong = NULL;
    pthread_mutex_lock(&lock);
    struct rule *place_of = find(id);
    if (place_of)
        *place_of = rule;
    else if (rule_count == RULES_MAX)
        wrong = "too many rules";
    else
        rules[rule_count++] = rule;
    pthread_mutex_unlock(&lock);
    return wrong;
}

void rules_clear(const char *id)
{
    size_t kept = 0;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < rule_count; i++)
        if (id && strcmp(rules[i].id, id))
            rules[kept++] = rules[i];
    rule_count = kept;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void rules_describe(char *text, size_t room)
{
    size_t used = 0;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i <= rule_count && used < room; i++) {
        const struct rule *rule = &rules[i];
        int put = i == rule_count
                      ? snprintf(text + used, room - used, "%s}", i ? "" : "{")
                      : snprintf(text + used, room - used,
                                 "%s\"%s\": {\"seen\": %lld, \"hits\": %lld, \"bytes\": %lld}",
                                 i ? ", " : "{", rule->id, (long long)rule->seen,
                                 (long long)rule->hits, (long long)rule->bytes);
        used += put > 0 ? (size_t)put : 0;
    }
    pthread_mutex_unlock(&lock);
}
