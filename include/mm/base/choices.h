// The settings that are one of several names, in the order of the names that mm_settings_fields has.
#ifndef MM_BASE_CHOICES_H
#define MM_BASE_CHOICES_H

typedef enum mm_packing { MM_PACKING_WINDOW, MM_PACKING_DOCUMENT } mm_packing;

typedef enum mm_seed_policy {
    MM_SEED_POLICY_RANK,   // base seed + rank
    MM_SEED_POLICY_SHARED, // base seed: the trap
    MM_SEED_POLICY_HASHED, // hash(base seed, rank)
    MM_SEED_POLICY_SAMPLE  // hash(base seed, 2^64 - 1), a number that no rank has; streams belong to samples
} mm_seed_policy;

typedef enum mm_order { MM_ORDER_SHUFFLED, MM_ORDER_SEQUENTIAL } mm_order;

typedef enum mm_schedule { MM_SCHEDULE_MINIMIND, MM_SCHEDULE_CONSTANT } mm_schedule;

#endif
