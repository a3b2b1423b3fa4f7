/*
 * histories.c: random histories of registers, for benchmarks/linearizability.py.
 *
 * Usage: histories OPERATIONS KEYS CONCURRENCY VALUES CRASHED CORRUPTED CAS SEED JSONL
 *
 * Writes one history as JSON lines. OPERATIONS of each of KEYS registers (0: one register without a key), one after the other, CONCURRENCY clients
 * at a time. VALUES 0: every written value is unique, else values are below it. Of 1000 operations,
 * CRASHED get no answer: they take effect later or never. Of 1000 reads, CORRUPTED answer
 * at random. CAS 1: a third of the operations are compare-and-sets; those that fail never happened.
 * Exit status: 0 done, 2 wrong usage or no such file. Needs no privileges.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CLIENTS_MAX 1000
#define LATE_MAX 64 /* crashed operations that may still take effect */
#define NS_PER_EVENT 1000
#define NIL INT64_C(-1)

enum phase { IDLE, CALLED, APPLIED };

struct operation {
    enum phase phase;
    char f; /* r, w or c */
    bool is_failed;
    int64_t process, a, b;
};

struct simulation {
    FILE *lines;
    uint64_t seed;
    int64_t operations, values, crashed, corrupted;
    int32_t clients;
    bool has_cas, is_keyed;
    struct operation of_client[CLIENTS_MAX];
    struct operation late[LATE_MAX];
    int32_t n_late;
    int64_t key, state, next_value, next_process, index;
};

/* splitmix64 */
static uint64_t random_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static int64_t below(struct simulation *simulation, int64_t n)
{
    return (int64_t)(random_next(&simulation->seed) % (uint64_t)n);
}

static int64_t any_value(struct simulation *simulation)
{
    if (simulation->values > 0)
        return below(simulation, simulation->values);
    return simulation->next_value == 0 ? NIL : below(simulation, simulation->next_value);
}

static int64_t fresh_value(struct simulation *simulation)
{
    return simulation->values > 0 ? any_value(simulation) : simulation->next_value++;
}

static void write_line(struct simulation *simulation, const struct operation *operation,
                       const char *type, const char *value)
{
    const char *f = operation->f == 'r' ? "read" : operation->f == 'w' ? "write" : "cas";
    long long index = simulation->index++;

    fprintf(simulation->lines,
            "{\"index\":%lld,\"time\":%lld,\"process\":%lld,\"type\":\"%s\",\"f\":\"%s\"", index,
            NS_PER_EVENT * index, (long long)operation->process, type, f);
    if (value[0] != '\0')
        fprintf(simulation->lines, ",\"value\":%s", value);
    if (simulation->is_keyed)
        fprintf(simulation->lines, ",\"key\":%lld", (long long)simulation->key);
    fputs("}\n", simulation->lines);
}

static void show_argument(char *text, size_t size, const struct operation *operation)
{
    text[0] = '\0';
    if (operation->f == 'w')
        snprintf(text, size, "%lld", (long long)operation->a);
    if (operation->f == 'c' && operation->a == NIL)
        snprintf(text, size, "[null,%lld]", (long long)operation->b);
    else if (operation->f == 'c')
        snprintf(text, size, "[%lld,%lld]", (long long)operation->a, (long long)operation->b);
}

static void call(struct simulation *simulation, struct operation *operation)
{
    int64_t drawn = below(simulation, simulation->has_cas ? 3 : 2);
    char argument[64];

    operation->phase = CALLED;
    operation->is_failed = false;
    operation->f = drawn == 0 ? 'r' : drawn == 1 ? 'w' : 'c';
    operation->a = operation->f == 'w'   ? fresh_value(simulation)
                   : operation->f == 'r' ? NIL
                   : simulation->values  ? any_value(simulation)
                                         : simulation->state;
    operation->b = operation->f == 'c' ? fresh_value(simulation) : NIL;
    show_argument(argument, sizeof argument, operation);
    write_line(simulation, operation, "invoke", argument);
}

/* Take effect now; a read remembers its answer in `a`. */
static void apply(struct simulation *simulation, struct operation *operation)
{
    operation->phase = APPLIED;
    operation->is_failed = operation->f == 'c' && operation->a != simulation->state;
    if (operation->f == 'r')
        operation->a = below(simulation, 1000) < simulation->corrupted ? any_value(simulation)
                                                                       : simulation->state;
    else if (!operation->is_failed)
        simulation->state = operation->f == 'w' ? operation->a : operation->b;
}

/* A read of nothing has no value. */
static void complete(struct simulation *simulation, struct operation *operation)
{
    char text[64] = "";

    operation->phase = IDLE;
    if (operation->f != 'r')
        show_argument(text, sizeof text, operation);
    else if (operation->a != NIL)
        snprintf(text, sizeof text, "%lld", (long long)operation->a);
    write_line(simulation, operation, operation->is_failed ? "fail" : "ok", text);
}

/* No answer ever comes; what did not happen yet may happen later. Another process goes on. */
static void crash(struct simulation *simulation, struct operation *operation)
{
    char text[64];

    show_argument(text, sizeof text, operation);
    write_line(simulation, operation, "info", text);
    if (operation->phase == CALLED && simulation->n_late < LATE_MAX)
        simulation->late[simulation->n_late++] = *operation;
    operation->phase = IDLE;
    operation->process = simulation->next_process++;
}

static void apply_late(struct simulation *simulation)
{
    if (simulation->n_late == 0 || below(simulation, LATE_MAX) != 0)
        return;
    int32_t chosen = (int32_t)below(simulation, simulation->n_late);
    if (below(simulation, 2) == 0)
        apply(simulation, &simulation->late[chosen]);
    simulation->late[chosen] = simulation->late[--simulation->n_late];
}

static void run_key(struct simulation *simulation)
{
    int64_t left = simulation->operations;
    int32_t busy = 0;

    simulation->state = NIL;
    simulation->next_value = 0;
    simulation->n_late = 0;
    while (left > 0 || busy > 0) {
        struct operation *operation =
            &simulation->of_client[below(simulation, simulation->clients)];
        apply_late(simulation);
        if (operation->phase == IDLE) {
            if (left == 0)
                continue;
            call(simulation, operation);
            left--;
            busy++;
        } else if (below(simulation, 2000) < simulation->crashed) {
            crash(simulation, operation);
            busy--;
        } else if (operation->phase == CALLED) {
            apply(simulation, operation);
        } else {
            complete(simulation, operation);
            busy--;
        }
    }
}

int main(int argc, char **argv)
{
    static struct simulation simulation;
    int64_t number[9] = {0};

    for (int i = 1; i < 9 && i < argc; i++)
        number[i] = strtoll(argv[i], NULL, 10);
    if (argc != 10 || number[1] < 0 || number[2] < 0 || number[3] < 1 ||
        number[3] > CLIENTS_MAX || number[4] < 0) {
        fputs("usage: histories OPERATIONS KEYS CONCURRENCY VALUES CRASHED CORRUPTED CAS SEED "
              "JSONL\n", stderr);
        return 2;
    }
    simulation.operations = number[1];
    simulation.is_keyed = number[2] > 0;
    simulation.clients = (int32_t)number[3];
    simulation.values = number[4];
    simulation.crashed = number[5];
    simulation.corrupted = number[6];
    simulation.has_cas = number[7] != 0;
    simulation.seed = (uint64_t)number[8];
    simulation.lines = fopen(argv[9], "w");
    if (simulation.lines == NULL) {
        fputs("cannot write\n", stderr);
        return 2;
    }
    for (int32_t i = 0; i < simulation.clients; i++)
        simulation.of_client[i].process = simulation.next_process++;
    for (int64_t key = 0; key < (number[2] > 0 ? number[2] : 1); key++) {
        simulation.key = key;
        run_key(&simulation);
    }
    if (fclose(simulation.lines) != 0) {
        fputs("cannot write\n", stderr);
        return 2;
    }
    return 0;
}
