/* The hashes of strings and bytes depend on a secret that must not be the same in two starts, and the frozen heap is full
 * of them: in strings, and in the order of every dictionary's and set's table. All places are found when the interpreter
 * is frozen, exactly: each block of the object allocator is known, and every object begins at one of three distances from
 * the beginning of its block, so its type is known; static objects are strings and bytes, and verified by their own hash.
 * After the start only the tables of indices are made again. No entry moves, so the order of dictionaries, the versions of
 * their keys and what the bytecode has cached stay right. */

#include "rehash.h"

#define Py_BUILD_CORE
#include "Python.h"
#include "pycore_dict.h"
#include "pycore_gc.h"
#include "pycore_object.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* --- blocks of the object allocator --- */

#define SLOTS (1u << 19) /* twice as many as there may be blocks */
static uintptr_t* blocks;
static uint32_t block_count;
static PyMemAllocatorEx original;

#define GONE ((uintptr_t)1)

static _Noreturn void fail(const char* what, const char* name) {
  fprintf(stderr, "python: cannot be frozen: %s %s\n", what, name);
  exit(1);
}

static uint32_t slot_of(uintptr_t block) {
  return (uint32_t)(block >> 3) * 2654435761u >> 13; /* 19 bits */
}

static void add_block(void* block) {
  if (!block) return;
  if (++block_count > SLOTS / 2) fail("too many objects", "");
  uint32_t i = slot_of((uintptr_t)block);
  while (blocks[i] > GONE) i = (i + 1) % SLOTS;
  blocks[i] = (uintptr_t)block;
}

static void remove_block(void* block) {
  if (!block) return;
  uint32_t i = slot_of((uintptr_t)block);
  while (blocks[i] != (uintptr_t)block) {
    if (!blocks[i]) return; /* from before the watch */
    i = (i + 1) % SLOTS;
  }
  blocks[i] = GONE;
  --block_count;
}

/* Zeroed: what an earlier object left in a block must not look like one. */
static void* watch_malloc(void* context, size_t size) {
  void* block = original.calloc(original.ctx, 1, size ? size : 1);
  add_block(block);
  return block;
}

static void* watch_calloc(void* context, size_t count, size_t size) {
  void* block = original.calloc(original.ctx, count, size);
  add_block(block);
  return block;
}

static void* watch_realloc(void* context, void* old, size_t size) {
  void* block = original.realloc(original.ctx, old, size);
  if (block && block != old) {
    remove_block(old);
    add_block(block);
  }
  return block;
}

static void watch_free(void* context, void* block) {
  remove_block(block);
  original.free(original.ctx, block);
}

void rehash_watch(void) {
  blocks = mmap(NULL, SLOTS * sizeof *blocks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (blocks == MAP_FAILED) fail("no memory", "");
  PyMem_GetAllocator(PYMEM_DOMAIN_OBJ, &original);
  PyMemAllocatorEx watch = {NULL, watch_malloc, watch_calloc, watch_realloc, watch_free};
  PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &watch);
}

/* --- what is found --- */

struct list {
  uintptr_t* items;
  uint32_t count, capacity;
};
static struct list strings;       /* str and bytes with a hash */
static struct list simple_keys;   /* PyDictKeysObject, all of whose keys are strings or have a hash of their own */
static struct list other_keys;    /* those with keys whose hash is made of others' */
static struct list simple_sets;
static struct list other_sets;

static void append(struct list* list, void* item) {
  if (list->count == list->capacity) {
    list->capacity = list->capacity ? list->capacity * 2 : 1024;
    list->items = realloc(list->items, list->capacity * sizeof *list->items);
    if (!list->items) fail("no memory", "");
  }
  list->items[list->count++] = (uintptr_t)item;
}

static int by_value(const void* left, const void* right) {
  uintptr_t a = *(const uintptr_t*)left, b = *(const uintptr_t*)right;
  return a < b ? -1 : a > b;
}

static void sort_unique(struct list* list) {
  qsort(list->items, list->count, sizeof *list->items, by_value);
  uint32_t kept = 0;
  for (uint32_t i = 0; i < list->count; ++i) {
    if (kept == 0 || list->items[kept - 1] != list->items[i]) list->items[kept++] = list->items[i];
  }
  list->count = kept;
}

static int contains(const struct list* list, uintptr_t item) {
  return list->count && bsearch(&item, list->items, list->count, sizeof item, by_value) != NULL;
}

/* --- types --- */

static struct list types;

static void add_types_below(PyTypeObject* type) {
  PyObject* method = PyObject_GetAttrString((PyObject*)&PyType_Type, "__subclasses__");
  PyObject* below = method ? PyObject_CallOneArg(method, (PyObject*)type) : NULL;
  if (!below) fail("subclasses of", type->tp_name);
  append(&types, type);
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(below); ++i) add_types_below((PyTypeObject*)PyList_GET_ITEM(below, i));
  Py_DECREF(below);
  Py_DECREF(method);
}

static PyObject* object_in(uintptr_t block) {
  const uintptr_t* words = (const uintptr_t*)block;
  if (contains(&types, words[1])) return _PyType_IS_GC((PyTypeObject*)words[1]) ? NULL : (PyObject*)block;
  static const unsigned distances[] = {sizeof(PyGC_Head), sizeof(PyGC_Head) + 2 * sizeof(PyObject*)};
  for (int i = 0; i < 2; ++i) {
    PyObject* object = (PyObject*)(block + distances[i]);
    PyTypeObject* type = Py_TYPE(object);
    if (contains(&types, (uintptr_t)type) && _PyType_PreHeaderSize(type) == distances[i]) return object;
  }
  return NULL;
}

/* --- hashes --- */

/* A string's hash under the present secret; -1 for whatever is no string. */
static Py_hash_t string_hash(PyObject* object) {
  if (PyUnicode_Check(object))
    return _Py_HashBytes(PyUnicode_DATA(object), PyUnicode_GET_LENGTH(object) * PyUnicode_KIND(object));
  if (PyBytes_Check(object)) return _Py_HashBytes(PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object));
  return -1;
}

_Py_COMP_DIAG_PUSH
_Py_COMP_DIAG_IGNORE_DEPR_DECLS
static Py_hash_t* cached_hash(PyObject* object) {
  return PyUnicode_Check(object) ? &((PyASCIIObject*)object)->hash : &((PyBytesObject*)object)->ob_shash;
}

/* Whether the hash of a key is its address, its number, or fixed when it was made: it stays. */
static int keeps_hash(PyObject* key) {
  hashfunc hash = Py_TYPE(key)->tp_hash;
  return hash == PyBaseObject_Type.tp_hash || hash == PyLong_Type.tp_hash || hash == PyFloat_Type.tp_hash ||
         hash == PyComplex_Type.tp_hash || hash == PyType_Type.tp_hash || hash == PyCFunction_Type.tp_hash ||
         PyWeakref_Check(key);
}

static int is_simple(PyObject* key) {
  return PyUnicode_CheckExact(key) || PyBytes_CheckExact(key) || keeps_hash(key);
}

static Py_hash_t new_hash(PyObject* key, Py_hash_t old) {
  if (PyUnicode_CheckExact(key) || PyBytes_CheckExact(key)) {
    Py_hash_t* cached = cached_hash(key);
    if (*cached == -1) *cached = string_hash(key);
    return *cached;
  }
  if (keeps_hash(key)) return old;
  Py_hash_t hash = PyObject_Hash(key);
  if (hash == -1) Py_FatalError("a frozen key has no hash");
  return hash;
}

/* --- dictionaries: the layout is Objects/dictobject.c's --- */

static void set_index(PyDictKeysObject* keys, size_t i, Py_ssize_t index) {
  if (keys->dk_log2_size < 8) {
    ((int8_t*)keys->dk_indices)[i] = (int8_t)index;
  } else if (keys->dk_log2_size < 16) {
    ((int16_t*)keys->dk_indices)[i] = (int16_t)index;
  } else {
    ((int32_t*)keys->dk_indices)[i] = (int32_t)index;
  }
}

static int is_empty(PyDictKeysObject* keys, size_t i) {
  if (keys->dk_log2_size < 8) return ((int8_t*)keys->dk_indices)[i] == DKIX_EMPTY;
  if (keys->dk_log2_size < 16) return ((int16_t*)keys->dk_indices)[i] == DKIX_EMPTY;
  return ((int32_t*)keys->dk_indices)[i] == DKIX_EMPTY;
}

static void insert_index(PyDictKeysObject* keys, Py_hash_t hash, Py_ssize_t index) {
  const size_t mask = DK_SIZE(keys) - 1;
  size_t i = (size_t)hash & mask;
  for (size_t perturb = (size_t)hash; !is_empty(keys, i);) {
    perturb >>= 5;
    i = mask & (i * 5 + perturb + 1);
  }
  set_index(keys, i, index);
}

static void rehash_keys(PyDictKeysObject* keys) {
  memset(keys->dk_indices, 0xff, (size_t)1 << keys->dk_log2_index_bytes);
  for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
    if (keys->dk_kind == DICT_KEYS_GENERAL) {
      PyDictKeyEntry* entry = &DK_ENTRIES(keys)[i];
      if (!entry->me_key) continue; /* deleted */
      entry->me_hash = new_hash(entry->me_key, entry->me_hash);
      insert_index(keys, entry->me_hash, i);
    } else {
      PyObject* key = DK_UNICODE_ENTRIES(keys)[i].me_key;
      if (key) insert_index(keys, new_hash(key, -1), i);
    }
  }
}

static int has_simple_keys(PyDictKeysObject* keys) {
  if (keys->dk_kind != DICT_KEYS_GENERAL) return 1;
  for (Py_ssize_t i = 0; i < keys->dk_nentries; ++i) {
    PyObject* key = DK_ENTRIES(keys)[i].me_key;
    if (key && !is_simple(key)) return 0;
  }
  return 1;
}

static void add_keys(PyDictKeysObject* keys) {
  if (keys && keys->dk_nentries > 0) append(has_simple_keys(keys) ? &simple_keys : &other_keys, keys);
}

/* --- sets: the layout is Include/cpython/setobject.h's, the order of places Objects/setobject.c's --- */

static void insert_entry(setentry* table, size_t mask, PyObject* key, Py_hash_t hash) {
  enum { kProbes = 9 };
  size_t perturb = (size_t)hash;
  for (size_t i = (size_t)hash & mask;; perturb >>= 5, i = (i * 5 + 1 + perturb) & mask) {
    const size_t end = i + kProbes <= mask ? i + kProbes : i;
    for (size_t j = i; j <= end; ++j) {
      if (table[j].key) continue;
      table[j].key = key;
      table[j].hash = hash;
      return;
    }
  }
}

static void rehash_set(PySetObject* set) {
  const size_t bytes = ((size_t)set->mask + 1) * sizeof(setentry);
  setentry* old = malloc(bytes);
  if (!old) Py_FatalError("no memory for a frozen set");
  memcpy(old, set->table, bytes);
  memset(set->table, 0, bytes);
  for (Py_ssize_t i = 0; i <= set->mask; ++i) {
    if (!old[i].key || old[i].key == _PySet_Dummy) continue;
    insert_entry(set->table, (size_t)set->mask, old[i].key, new_hash(old[i].key, old[i].hash));
  }
  set->fill = set->used;
  free(old);
}

/* Sets with such keys are rehashed in the order of their addresses, so none may be made of others of them. */
static void refuse_nested(PyObject* key) {
  if (PyFrozenSet_Check(key)) fail("a key is made of a", "frozenset");
  if (!PyTuple_Check(key)) return;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) refuse_nested(PyTuple_GET_ITEM(key, i));
}

static void add_set(PySetObject* set) {
  if (set->used == 0 && set->fill == 0) return;
  int simple = 1;
  for (Py_ssize_t i = 0; i <= set->mask; ++i) {
    PyObject* key = set->table[i].key;
    if (!key || key == _PySet_Dummy || is_simple(key)) continue;
    refuse_nested(key);
    simple = 0;
  }
  append(simple ? &simple_sets : &other_sets, set);
}

/* --- finding --- */

static void add_string(PyObject* object) {
  Py_hash_t hash = *cached_hash(object);
  if (hash == -1) return;
  if (hash != string_hash(object)) fail("the hash of an object is not its own:", Py_TYPE(object)->tp_name);
  append(&strings, object);
}

/* Types whose objects remember hashes where nobody else sees them. */
static void refuse_unknown(PyObject* object) {
  static const char* const names[] = {"datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta",
                                      "datetime.timezone", "functools._lru_list_elem", "hamt", "re.Pattern"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    if (strcmp(Py_TYPE(object)->tp_name, names[i]) == 0) fail("it has an object of type", names[i]);
  }
}

static void add_object(PyObject* object) {
  if (PyUnicode_Check(object) || PyBytes_Check(object)) {
    add_string(object);
  } else if (PyDict_Check(object)) {
    add_keys(((PyDictObject*)object)->ma_keys);
    if (PyODict_Check(object)) fail("it has an object of type", "collections.OrderedDict"); /* repeats hashes in its nodes */
  } else if (PyAnySet_Check(object)) {
    add_set((PySetObject*)object);
  } else if (PyType_Check(object)) {
    if (PyType_HasFeature((PyTypeObject*)object, Py_TPFLAGS_HEAPTYPE)) add_keys(((PyHeapTypeObject*)object)->ht_cached_keys);
  } else {
    refuse_unknown(object);
  }
}

extern char __global_base, __heap_base; /* the linker's: static data lies between them */

static void add_static_strings(void) {
  for (uintptr_t at = (uintptr_t)&__global_base; at + sizeof(PyUnicodeObject) < (uintptr_t)&__heap_base; at += 4) {
    PyObject* object = (PyObject*)at;
    if (Py_TYPE(object) != &PyUnicode_Type && Py_TYPE(object) != &PyBytes_Type) continue;
    const Py_ssize_t length = ((PyVarObject*)object)->ob_size; /* of both kinds at this place */
    if (Py_REFCNT(object) <= 0 || length <= 0 || length > 1 << 20) continue;
    if (PyUnicode_Check(object) && (!PyUnicode_IS_COMPACT(object) || !PyUnicode_IS_READY(object))) continue;
    if (*cached_hash(object) == string_hash(object)) append(&strings, object);
  }
}
_Py_COMP_DIAG_POP

void rehash_prepare(void) {
  add_types_below(&PyBaseObject_Type);
  sort_unique(&types);
  /* The list of types does not change below, and no object is made. */
  for (uint32_t i = 0; i < SLOTS; ++i) {
    if (blocks[i] <= GONE) continue;
    PyObject* object = object_in(blocks[i]);
    if (object) add_object(object);
  }
  add_static_strings();
  struct list* const lists[] = {&strings, &simple_keys, &other_keys, &simple_sets, &other_sets};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; ++i) sort_unique(lists[i]);
  fprintf(stderr, "python: %u blocks, %u strings, %u + %u dictionaries, %u + %u sets are rehashed\n", block_count,
          strings.count, simple_keys.count, other_keys.count, simple_sets.count, other_sets.count);
  PyMem_SetAllocator(PYMEM_DOMAIN_OBJ, &original);
  munmap(blocks, SLOTS * sizeof *blocks);
  free(types.items);
  types = (struct list){0};
}

/* --- after the start --- */

void rehash(void) {
  if (_PyOS_URandomNonblock(&_Py_HashSecret, sizeof _Py_HashSecret) < 0) Py_FatalError("no random numbers");
  for (uint32_t i = 0; i < strings.count; ++i) *cached_hash((PyObject*)strings.items[i]) = -1;
  for (uint32_t i = 0; i < simple_sets.count; ++i) ((PySetObject*)simple_sets.items[i])->hash = -1;
  for (uint32_t i = 0; i < other_sets.count; ++i) ((PySetObject*)other_sets.items[i])->hash = -1;
  for (uint32_t i = 0; i < simple_keys.count; ++i) rehash_keys((PyDictKeysObject*)simple_keys.items[i]);
  for (uint32_t i = 0; i < simple_sets.count; ++i) rehash_set((PySetObject*)simple_sets.items[i]);
  /* From here on attributes and globals are found. */
  for (uint32_t i = 0; i < other_sets.count; ++i) rehash_set((PySetObject*)other_sets.items[i]);
  for (uint32_t i = 0; i < other_keys.count; ++i) rehash_keys((PyDictKeysObject*)other_keys.items[i]);
}
