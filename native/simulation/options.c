/* See options.h. */
#include "options.h"

#include <stdlib.h>
#include <string.h>

enum option_kind { FLAG, NUMBER_32, NUMBER_64, SHARE };

static const struct {
    const char *name;
    enum option_kind kind;
    size_t offset;
    uint64_t low, high;
} NUMBERS[] = {
    {"election_ms", NUMBER_32, offsetof(struct options, election_ms), 10, 3600000},
    {"heartbeat_ms", NUMBER_32, offsetof(struct options, heartbeat_ms), 1, 3600000},
    {"install_snapshot_ms", NUMBER_32, offsetof(struct options, install_snapshot_ms), 0, 3600000},
    {"snapshot_threshold", NUMBER_32, offsetof(struct options, snapshot_threshold), 1, 1u << 30},
    {"snapshot_trailing", NUMBER_32, offsetof(struct options, snapshot_trailing), 1, 1u << 30},
    {"fsm_version", NUMBER_32, offsetof(struct options, fsm_version), 1, 3},
    {"log", NUMBER_32, offsetof(struct options, log), 0, 1},
    {"latency_us_min", NUMBER_64, offsetof(struct options, latency_us_min), 0, 60000000},
    {"latency_us_max", NUMBER_64, offsetof(struct options, latency_us_max), 0, 60000000},
    {"client_us_min", NUMBER_64, offsetof(struct options, client_us_min), 0, 60000000},
    {"client_us_max", NUMBER_64, offsetof(struct options, client_us_max), 0, 60000000},
    {"disk_us_min", NUMBER_64, offsetof(struct options, disk_us_min), 0, 60000000},
    {"disk_us_max", NUMBER_64, offsetof(struct options, disk_us_max), 0, 60000000},
    {"work_us_min", NUMBER_64, offsetof(struct options, work_us_min), 0, 60000000},
    {"work_us_max", NUMBER_64, offsetof(struct options, work_us_max), 0, 60000000},
    {"pre_vote", FLAG, offsetof(struct options, pre_vote), 0, 1},
    {"batch", FLAG, offsetof(struct options, batch), 0, 1},
    {"trace", FLAG, offsetof(struct options, trace), 0, 1},
    {"straggler", SHARE, offsetof(struct options, straggler), 0, 1},
};

static const char *const MUTANTS[] = {
    [MUTANT_NONE] = "nothing",
    [MUTANT_LOSE_ACKNOWLEDGED] = "lose-acknowledged",
    [MUTANT_FORGET_VOTE] = "forget-vote",
    [MUTANT_FORGET_TERM] = "forget-term",
    [MUTANT_ALTER_ENTRY] = "alter-entry",
    [MUTANT_ALTER_SNAPSHOT] = "alter-snapshot",
    [MUTANT_ANY_VOTE] = "any-vote",
    [MUTANT_COMMIT_BACK] = "commit-back",
    [MUTANT_FREE_TWICE] = "free-twice",
    [MUTANT_SEND_TO_NOBODY] = "send-to-nobody",
    [MUTANT_CRASH] = "crash",
};

struct options options_default(void)
{
    struct options options = {
        .election_ms = 3000,
        .heartbeat_ms = 500,
        .snapshot_threshold = 1024,
        .snapshot_trailing = 8192,
        .pre_vote = true,
        .fsm_version = 2,
        .latency_us_min = 200,
        .latency_us_max = 2000,
        .straggler = 0.002,
        .client_us_min = 50,
        .client_us_max = 800,
        .disk_us_min = 200,
        .disk_us_max = 3000,
        .work_us_min = 500,
        .work_us_max = 20000,
        .batch = true,
        .bootstrap_all = true,
    };
    for (unsigned i = 0; i < SERVERS_MAX; i++)
        options.addresses[i][0] = (char)('1' + i);
    return options;
}

static const char *set_number(void *field, enum option_kind kind, const char *value, uint64_t low,
                              uint64_t high)
{
    char *end;
    if (kind == SHARE) {
        double share = strtod(value, &end);
        if (end == value || *end || !(share >= 0 && share <= 1))
            return "it must be a share, from 0 to 1";
        *(double *)field = share;
        return NULL;
    }
    uint64_t number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || number < low || number > high)
        return "it must be a whole number within its limits";
    if (kind == FLAG)
        *(bool *)field = number;
    else if (kind == NUMBER_32)
        *(uint32_t *)field = (uint32_t)number;
    else
        *(uint64_t *)field = number;
    return NULL;
}

static const char *set_address(struct options *options, const char *number, const char *value)
{
    if (number[0] < '1' || number[0] >= '1' + SERVERS_MAX || number[1])
        return "there is no server of that number";
    if (!value[0] || strlen(value) >= ADDRESS_MAX)
        return "an address has 1 to 31 bytes";
    strcpy(options->addresses[number[0] - '1'], value);
    return NULL;
}

const char *options_set(struct options *options, const char *name, const char *value)
{
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        if (!strcmp(NUMBERS[i].name, name))
            return set_number((char *)options + NUMBERS[i].offset, NUMBERS[i].kind, value,
                              NUMBERS[i].low, NUMBERS[i].high);
    if (!strcmp(name, "bootstrap")) {
        options->bootstrap_all = !strcmp(value, "all");
        return options->bootstrap_all || !strcmp(value, "first") ? NULL : "it is `all` or `first`";
    }
    if (!strncmp(name, "address.", strlen("address.")))
        return set_address(options, name + strlen("address."), value);
    if (strcmp(name, "break"))
        return "there is no such option";
    for (size_t i = 0; i < sizeof MUTANTS / sizeof *MUTANTS; i++)
        if (!strcmp(MUTANTS[i], value)) {
            options->mutant = (enum mutant)i;
            return NULL;
        }
    return "there is no such way to break it";
}
