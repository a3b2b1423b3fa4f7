/*
 * zones.c: the blocks of a register, and whether some order of them exists (see zones.h).
 */
#include "zones.h"

#include <string.h>

#define CIRCLE_MAX 6 /* operations of a circle that are accused */

static bool is_cas(const struct zones *zones, int32_t operation)
{
    return zones->want[operation] >= 0 && zones->make[operation] >= 0;
}

void witness_add(struct witness *witness, int32_t operation)
{
    if (operation < 0 || witness->n_operations == KEYS_WITNESS_MAX)
        return;
    for (int32_t i = 0; i < witness->n_operations; i++)
        if (witness->operations[i] == operation)
            return;
    witness->operations[witness->n_operations++] = operation;
}

/* The operation whose event stands at a position. */
static int32_t operation_at(const struct zones *zones, int32_t position)
{
    if (position < 0 || position >= zones->n_positions)
        return -1;
    int32_t event = zones->events[position];
    return (event > 0 ? event : -event) - 1;
}

/* What sets a needed value is needed, and so is what a needed compare-and-set replaced. */
static void close_needs(struct zones *zones)
{
    for (int32_t v = 0; v < zones->n_values; v++) {
        int32_t value = v;
        while (zones->values[value].offset == ZONES_NEEDED) {
            int32_t producer = zones->values[value].producer;
            if (producer < 0 || !is_cas(zones, producer))
                break;
            value = zones->want[producer];
            if (zones->values[value].offset == ZONES_NEEDED)
                break;
            zones->values[value].offset = ZONES_NEEDED;
        }
    }
}

/* Find who replaced each value. Returns how many did, or -1 with a witness. */
static int32_t find_consumers(struct zones *zones, struct witness *witness)
{
    int32_t n_consumers = 0;
    for (int32_t v = 0; v < zones->n_values; v++) {
        struct zones_value *value = &zones->values[v];
        if (value->offset != ZONES_NEEDED || value->producer < 0 ||
            !is_cas(zones, value->producer))
            continue;
        struct zones_value *old = &zones->values[zones->want[value->producer]];
        if (old->consumer >= 0) {
            witness->reason = KEYS_CONSUMED_TWICE;
            witness_add(witness, old->consumer);
            witness_add(witness, value->producer);
            witness_add(witness, old->producer);
            return -1;
        }
        old->consumer = value->producer;
        n_consumers++;
    }
    return n_consumers;
}

static void accuse_phantom(const struct zones *zones, int32_t v, struct witness *witness)
{
    const struct zones_value *value = &zones->values[v];
    witness->reason = KEYS_PHANTOM;
    if (value->n_reads > 0)
        witness_add(witness, operation_at(zones, value->read_ret));
    else
        witness_add(witness, value->consumer);
}

/* What of a block is seen so far: its forced order is checked as groups come. */
struct block {
    int32_t least_ret;
    int32_t greatest_inv;
    int32_t n_reached;
};

static bool add_group(struct block *block, int32_t least_ret, int32_t greatest_inv)
{
    if (least_ret < block->greatest_inv)
        return false;
    if (least_ret < block->least_ret)
        block->least_ret = least_ret;
    if (greatest_inv > block->greatest_inv)
        block->greatest_inv = greatest_inv;
    return true;
}

/* Follow the chain from a root. Returns whether its forced order is possible; else a witness. */
static bool follow(const struct zones *zones, int32_t root, struct block *block,
                   struct witness *witness)
{
    int32_t v = root;
    for (;;) {
        const struct zones_value *value = &zones->values[v];
        int32_t producer = value->producer, failed = -1;
        if (producer >= 0 && !add_group(block, value->lo, value->hi))
            failed = value->lo;
        else if (value->n_reads > 0 && !add_group(block, value->read_ret, value->read_inv))
            failed = value->read_ret;
        if (failed >= 0) {
            witness->reason = KEYS_INSIDE;
            witness_add(witness, operation_at(zones, failed));
            witness_add(witness, operation_at(zones, block->greatest_inv));
            witness_add(witness, producer);
            return false;
        }
        if (value->consumer < 0)
            return true;
        block->n_reached++;
        v = zones->make[value->consumer];
    }
}

/* Put each block into the bucket of min(L, H). Returns whether each is possible in itself. */
static bool fill_buckets(struct zones *zones, int32_t n_consumers, struct witness *witness)
{
    int32_t n_reached = 0;
    memset(zones->buckets, 0, sizeof(int32_t) * ((size_t)zones->n_positions + 1));
    for (int32_t v = 0; v < zones->n_values; v++) {
        struct zones_value *root = &zones->values[v];
        if (root->offset != ZONES_NEEDED)
            continue;
        if (root->producer < 0 && v > 0) {
            accuse_phantom(zones, v, witness);
            return false;
        }
        if (zones->has_cas && root->producer >= 0 && is_cas(zones, root->producer))
            continue;
        struct block block = {v == 0 ? -1 : ZONES_NEVER, -1, 0};
        if (!follow(zones, v, &block, witness))
            return false;
        n_reached += block.n_reached;
        root->lo = block.least_ret;
        root->hi = block.greatest_inv;
        zones->buckets[1 + (root->lo < root->hi ? root->lo : root->hi)] = v + 1;
    }
    if (n_reached == n_consumers)
        return true;
    /* What no root reaches lies on a circle: an order of its groups would never begin. */
    witness->reason = KEYS_ROOTLESS;
    for (int32_t v = 0; v < zones->n_values; v++)
        zones->values[v].lo = 0;
    for (int32_t v = 0; v < zones->n_values; v++) {
        struct zones_value *root = &zones->values[v];
        if (root->offset != ZONES_NEEDED ||
            (root->producer >= 0 && is_cas(zones, root->producer)))
            continue;
        for (int32_t at = v; zones->values[at].consumer >= 0;) {
            at = zones->make[zones->values[at].consumer];
            zones->values[at].lo = 1;
        }
    }
    for (int32_t v = 1; v < zones->n_values; v++) {
        const struct zones_value *value = &zones->values[v];
        if (value->offset != ZONES_NEEDED || value->lo == 1 || value->producer < 0 ||
            !is_cas(zones, value->producer))
            continue;
        for (int32_t i = 0, at = v; i < CIRCLE_MAX; i++) {
            witness_add(witness, zones->values[at].producer);
            at = zones->want[zones->values[at].producer];
        }
        break;
    }
    return false;
}

static void accuse_block(const struct zones *zones, int32_t root, struct witness *witness)
{
    witness_add(witness, zones->values[root].producer);
    witness_add(witness, operation_at(zones, zones->values[root].lo));
    witness_add(witness, operation_at(zones, zones->values[root].hi));
}

/* Give each group of a block its place in the order. Returns the place after them. */
static int32_t place_block(struct zones *zones, int32_t root, int32_t place)
{
    int32_t v = root;
    for (;;) {
        struct zones_value *value = &zones->values[v];
        value->offset = place;
        place += (value->producer >= 0) + value->n_reads;
        value->n_reads = 0; /* from now on: how many of them are placed */
        if (value->consumer < 0)
            return place;
        v = zones->make[value->consumer];
    }
}

/*
 * Walk the buckets: forward zones (L < H) must be disjoint, and a backward zone may not lie inside
 * one. The order of the buckets is the order of the blocks. Returns the length, or -1.
 */
static int32_t place_blocks(struct zones *zones, struct witness *witness)
{
    int32_t forward = -1, end = -1, place = 0;
    for (int32_t position = 0; position <= zones->n_positions; position++) {
        int32_t v = zones->buckets[position] - 1;
        if (v < 0)
            continue;
        const struct zones_value *root = &zones->values[v];
        if (root->lo < end) {
            witness->reason = KEYS_CONFLICT;
            accuse_block(zones, forward, witness);
            accuse_block(zones, v, witness);
            return -1;
        }
        if (root->lo < root->hi) {
            forward = v;
            end = root->hi;
        }
        place = place_block(zones, v, place);
    }
    return place;
}

/* Put every operation where its value stands: what sets it, then its reads by invocation. */
static void place_operations(struct zones *zones, int32_t *order)
{
    for (int32_t i = 0; i < zones->n_operations; i++) {
        bool is_read = zones->make[i] < 0;
        struct zones_value *value = &zones->values[is_read ? zones->want[i] : zones->make[i]];
        if (is_read)
            order[value->offset + (value->producer >= 0) + value->n_reads++] = i;
        else if (value->offset >= 0)
            order[value->offset] = i;
    }
}

enum keys_reason zones_judge(struct zones *zones, int32_t *order, int32_t *length,
                             struct witness *witness)
{
    *witness = (struct witness){.reason = KEYS_NO_REASON};
    *length = 0;
    int32_t n_consumers = 0;
    if (zones->has_cas) {
        close_needs(zones);
        n_consumers = find_consumers(zones, witness);
    }
    if (n_consumers < 0 || !fill_buckets(zones, n_consumers, witness))
        return witness->reason;
    *length = place_blocks(zones, witness);
    if (*length < 0) {
        *length = 0;
        return witness->reason;
    }
    if (order != NULL)
        place_operations(zones, order);
    return KEYS_NO_REASON;
}
