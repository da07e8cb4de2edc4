/* Python's main, which can be frozen where the interpreter is initialised and `site` is imported: see guest/freeze.
 *
 * A start goes on from there only if initialising would have made the same: plain arguments, no variable PYTHON*, the same
 * locale and time zone, the program under one of its names in /usr/bin, and nothing in the library's folders that was not
 * there. Any other starts from the beginning. */

#define Py_BUILD_CORE
#include "Python.h"
#include "pycore_fileutils.h"
#include "pycore_gc.h"
#include "pycore_initconfig.h"
#include "pycore_interp.h"
#include "pycore_pylifecycle.h"
#include "pycore_pystate.h"
#include "pycore_runtime.h"

#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "freeze.h"
#include "rehash.h"

/* Of Python/pylifecycle.c; the recipe makes it visible. */
PyStatus init_sys_streams(PyThreadState* thread);

#define LOCALE "C.UTF-8"
#define FOLDER "/usr/bin/"
static const char* const names[] = {"python3", "python", "python3.11"};

static void require(int condition, const char* what) {
  if (condition) return;
  if (PyErr_Occurred()) PyErr_Print();
  fprintf(stderr, "python: cannot go on from where it was frozen: %s\n", what);
  exit(1);
}

/* --- what the initialisation looked at --- */

#define MAX_PLACES 16
static struct place {
  char path[128];
  struct timespec time; /* of the last change; nanoseconds -1: it was not there */
} places[MAX_PLACES];
static int place_count;

static struct timespec time_of(const char* path) {
  struct stat stat_of;
  const struct timespec never = {0, -1};
  return stat(path, &stat_of) == 0 ? stat_of.st_mtim : never;
}

static void remember(const char* path) {
  if (place_count == MAX_PLACES || strlen(path) >= sizeof places->path) {
    fprintf(stderr, "python: cannot be frozen: too many places, %s\n", path);
    exit(1);
  }
  struct place* place = &places[place_count++];
  strcpy(place->path, path);
  place->time = time_of(path);
}

static void remember_list(PyObject* list) {
  require(list && PyList_Check(list), "a list of folders");
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) remember(PyUnicode_AsUTF8(PyList_GET_ITEM(list, i)));
}

static int are_places_unchanged(void) {
  for (int i = 0; i < place_count; ++i) {
    const struct timespec now = time_of(places[i].path);
    if (now.tv_sec != places[i].time.tv_sec || now.tv_nsec != places[i].time.tv_nsec) return 0;
  }
  return 1;
}

/* --- objects that every start has --- */

/* The collector passes them over: looking at each would cost more than most programs run, and would copy their pages.
 * Nothing of them is garbage. A program that asks for the collector gets them back. */
static void merge(PyGC_Head* from, PyGC_Head* to) {
  PyGC_Head *first = _PyGCHead_NEXT(from), *last = _PyGCHead_PREV(from), *end = _PyGCHead_PREV(to);
  if (first == from) return;
  _PyGCHead_SET_NEXT(end, first);
  _PyGCHead_SET_PREV(first, end);
  _PyGCHead_SET_NEXT(last, to);
  _PyGCHead_SET_PREV(to, last);
  _PyGCHead_SET_NEXT(from, from);
  _PyGCHead_SET_PREV(from, from);
}

static void set_aside(void) {
  struct _gc_runtime_state* collector = &_PyInterpreterState_GET()->gc;
  for (int i = 0; i < NUM_GENERATIONS; ++i) {
    merge(&collector->generations[i].head, &collector->permanent_generation.head);
    collector->generations[i].count = 0;
  }
}

static int is_frozen;

PyObject* __real_PyInit_gc(void);
PyObject* __wrap_PyInit_gc(void) {
  struct _gc_runtime_state* collector = &_PyInterpreterState_GET()->gc;
  if (is_frozen) merge(&collector->permanent_generation.head, &collector->generations[NUM_GENERATIONS - 1].head);
  is_frozen = 0;
  return __real_PyInit_gc();
}

/* The last steps of Py_FinalizeEx, after all that a program could see: memory is given back piece by piece, which the end
 * of the process does at once. The recipe puts these in their place. */
void __wrap__Py_Deepfreeze_Fini(void) {}
void __wrap__PyTypes_Fini(PyInterpreterState* interpreter) {}
void __wrap__PyTypes_FiniTypes(PyInterpreterState* interpreter) {}
void __wrap__PyExc_Fini(PyInterpreterState* interpreter) {}
void __wrap__PyUnicode_ClearInterned(PyInterpreterState* interpreter) {}

/* --- freezing --- */

static PyObject* site;         /* the module */
static PyObject* variables;    /* posix.environ, the dictionary behind os.environ */
static void (*on_interrupt)(int);

static int go_on(int argc, char** argv, char** envp);

static void initialise(void) {
  PyPreConfig before;
  PyPreConfig_InitPythonConfig(&before);
  PyStatus status = Py_PreInitialize(&before);
  rehash_watch();
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  config.use_hash_seed = 1; /* the frozen image is the same whenever it is made */
  config.hash_seed = 1;
  char* arguments[] = {(char*)names[0]};
  if (!PyStatus_Exception(status)) status = PyConfig_SetBytesArgv(&config, 1, arguments);
  if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
  if (PyStatus_Exception(status)) Py_ExitStatusException(status);
  PyConfig_Clear(&config);
}

/* Everything that belongs to this process and not to the program. */
static void let_go(void) {
  static const char* const streams[] = {"stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"};
  for (size_t i = 0; i < sizeof streams / sizeof *streams; ++i) PySys_SetObject(streams[i], Py_None);
  PyDict_Clear(variables);
  on_interrupt = PyOS_setsig(SIGINT, SIG_DFL);
  PyOS_setsig(SIGPIPE, SIG_DFL);
  PyOS_setsig(SIGXFSZ, SIG_DFL);
  PyGC_Collect(); /* also empties the lists of free objects */
}

static int freeze(void) {
  initialise();
  site = PyImport_ImportModule("site");
  PyObject* posix = PyImport_ImportModule("posix");
  variables = posix ? PyObject_GetAttrString(posix, "environ") : NULL;
  require(site && variables, "modules");
  remember_list(PySys_GetObject("path"));
  PyObject* folders = PyObject_CallMethod(site, "getsitepackages", NULL);
  remember_list(folders);
  Py_DECREF(folders);
  Py_DECREF(posix);
  remember("/etc/localtime");
  remember("/usr/bin/pyvenv.cfg");
  remember("/usr/pyvenv.cfg");
  remember("/usr/bin/python3.11._pth");
  let_go();
  rehash_prepare();
  set_aside();
  is_frozen = 1;
  cordon_freeze(go_on);
}

/* --- whether a start can go on --- */

/* Of the arguments: what to run, and the index of what becomes sys.argv[0]. */
struct job {
  enum { kCommand, kModule, kFile, kStandardInput } kind;
  int first;
};

static int read_arguments(int argc, char** argv, struct job* job) {
  job->first = 1;
  if (argc < 2 || argv[1][0] != '-' || argv[1][1] == 0) {
    job->kind = argc < 2 || argv[1][0] == '-' ? kStandardInput : kFile;
    return argc < 2 || argv[1][0] != 0;
  }
  job->kind = argv[1][1] == 'c' ? kCommand : kModule;
  return (strcmp(argv[1], "-c") == 0 || strcmp(argv[1], "-m") == 0) && argc >= 3;
}

static int is_plain_environment(char** envp) {
  for (char** at = envp; *at; ++at) {
    /* `time` was initialised with the zone of the image. */
    if (strncmp(*at, "PYTHON", 6) == 0 || strncmp(*at, "TZ=", 3) == 0) return 0;
  }
  const char* name = setlocale(LC_CTYPE, "");
  return name && strcmp(name, LOCALE) == 0;
}

/* The path under which the program was found: 0 if not in its folder. */
static int find_program(const char* name, char* path, size_t size) {
  const char* base = strncmp(name, FOLDER, strlen(FOLDER)) == 0 ? name + strlen(FOLDER) : name;
  int known = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) known |= strcmp(base, names[i]) == 0;
  if (!known) return 0;
  snprintf(path, size, FOLDER "%s", base);
  if (base != name) return 1;
  const char* folders = getenv("PATH");
  char found[256];
  for (const char* at = folders; at;) {
    const size_t length = strcspn(at, ":");
    if (length == 0 || length + strlen(base) + 2 > sizeof found) return 0;
    snprintf(found, sizeof found, "%.*s/%s", (int)length, at, base);
    if (access(found, X_OK) == 0) return strcmp(found, path) == 0;
    at = at[length] ? at + length + 1 : NULL;
  }
  return 0;
}

static int are_signals_default(void) {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL) return 0;
  }
  return 1;
}

/* --- going on --- */

static void set_config(wchar_t** to, const char* from) {
  PyConfig* config = (PyConfig*)_PyInterpreterState_GetConfig(_PyInterpreterState_GET());
  wchar_t* text = from ? Py_DecodeLocale(from, NULL) : NULL;
  require(!from || text, "a string");
  require(!PyStatus_Exception(PyConfig_SetString(config, to, text)), "a string");
  PyMem_RawFree(text);
}

static void set_list(PyWideStringList* to, int count, char** from, const char* name) {
  PyWideStringList list = _PyWideStringList_INIT;
  for (int i = 0; i < count; ++i) {
    wchar_t* text = Py_DecodeLocale(from[i], NULL);
    require(text && !PyStatus_Exception(PyWideStringList_Append(&list, text)), "an argument");
    PyMem_RawFree(text);
  }
  require(_PyWideStringList_Copy(to, &list) == 0, "arguments");
  PyObject* object = name ? _PyWideStringList_AsList(&list) : Py_None;
  require(object && (!name || PySys_SetObject(name, object) == 0), "arguments");
  if (name) Py_DECREF(object);
  _PyWideStringList_Clear(&list);
}

static void set_run(PyConfig* config, const struct job* job, char** argv) {
  if (job->kind == kCommand) {
    char* command = malloc(strlen(argv[2]) + 2);
    require(command != NULL, "memory");
    set_config(&config->run_command, strcat(strcpy(command, argv[2]), "\n"));
    free(command);
  } else if (job->kind == kModule) {
    set_config(&config->run_module, argv[2]);
  } else if (job->kind == kFile) {
    wchar_t* absolute = NULL;
    set_config(&config->run_filename, argv[1]);
    if (argv[1][0] == '/' || _Py_abspath(config->run_filename, &absolute) != 0 || !absolute) return;
    require(!PyStatus_Exception(PyConfig_SetString(config, &config->run_filename, absolute)), "a path");
    PyMem_RawFree(absolute);
  }
}

/* sys.argv begins with the option and goes on behind its argument. */
static void set_arguments(PyConfig* config, const struct job* job, int argc, char** argv) {
  static char empty[] = "";
  char* none[] = {empty};
  set_list(&config->orig_argv, argc, argv, "orig_argv");
  if (argc < 2) {
    set_list(&config->argv, 1, none, "argv");
  } else if (job->kind == kCommand || job->kind == kModule) {
    argv[2] = argv[1];
    set_list(&config->argv, argc - 2, argv + 2, "argv");
  } else {
    set_list(&config->argv, argc - 1, argv + 1, "argv");
  }
}

static void set_executable(PyConfig* config, const char* name, const char* path) {
  set_config(&config->program_name, name);
  set_config(&config->executable, path);
  set_config(&config->base_executable, path);
  PyObject* object = PyUnicode_DecodeFSDefault(path);
  require(object && PySys_SetObject("executable", object) == 0 && PySys_SetObject("_base_executable", object) == 0,
          "its own path");
  Py_DECREF(object);
}

static void set_variables(char** envp) {
  for (char** at = envp; *at; ++at) {
    const char* equals = strchr(*at, '=');
    if (!equals) continue;
    PyObject* name = PyBytes_FromStringAndSize(*at, equals - *at);
    PyObject* value = PyBytes_FromString(equals + 1);
    require(name && value && PyDict_SetDefault(variables, name, value), "the environment");
    Py_DECREF(name);
    Py_DECREF(value);
  }
}

/* What `site` says of the user; false if the user has a library. */
static int set_user(void) {
  if (PyObject_SetAttrString(site, "USER_BASE", Py_None) != 0 || PyObject_SetAttrString(site, "USER_SITE", Py_None) != 0)
    return 0;
  PyObject* folder = PyObject_CallMethod(site, "getusersitepackages", NULL);
  require(folder != NULL, "the user's folder");
  const int exists = access(PyUnicode_AsUTF8(folder), F_OK) == 0;
  Py_DECREF(folder);
  return !exists;
}

static int go_on(int argc, char** argv, char** envp) {
  struct job job;
  char path[64];
  if (argc < 1 || !read_arguments(argc, argv, &job) || !is_plain_environment(envp) ||
      !find_program(argv[0], path, sizeof path) || !are_places_unchanged() || !are_signals_default() ||
      getuid() != geteuid() || getgid() != getegid()) {
    cordon_start_over();
  }
  rehash();
  set_variables(envp);
  if (!set_user()) cordon_start_over();
  PyThreadState* thread = _PyThreadState_GET();
  PyConfig* config = (PyConfig*)_PyInterpreterState_GetConfig(thread->interp);
  config->use_hash_seed = 0;
  config->hash_seed = 0;
  thread->native_thread_id = PyThread_get_thread_native_id();
  set_executable(config, argv[0], path);
  set_run(config, &job, argv);
  set_arguments(config, &job, argc, argv);
  PyOS_setsig(SIGPIPE, SIG_IGN);
  PyOS_setsig(SIGXFSZ, SIG_IGN);
  PyOS_setsig(SIGINT, on_interrupt);
  const PyStatus status = init_sys_streams(thread);
  if (PyStatus_Exception(status)) Py_ExitStatusException(status);
  return Py_RunMain();
}

int main(int argc, char** argv) {
  return argc == 1 && cordon_freezes() ? freeze() : Py_BytesMain(argc, argv);
}
