// The programs of the engine's benchmark. Each is compiled twice from this file, to WebAssembly and
// natively, with KERNEL as the name of the one to run; no library is used.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define NOINLINE __attribute__((noinline))

static u32 seed = 12345;
static u32 Random(void) {
  seed = seed * 1664525u + 1013904223u;
  return seed >> 8;
}

// fib: calls
NOINLINE static u32 Fib(u32 n) { return n < 2 ? n : Fib(n - 1) + Fib(n - 2); }
u32 fib(u32 scale) { return Fib(27 + scale); }

// sha256: integer arithmetic and rotations over memory
static const u32 kRound[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
static u32 Rotr(u32 x, u32 n) { return x >> n | x << (32 - n); }
static u32 state[8];
NOINLINE static void Compress(const u8* block) {
  u32 w[64];
  for (int i = 0; i < 16; i++) {
    w[i] = (u32)block[4 * i] << 24 | (u32)block[4 * i + 1] << 16 | (u32)block[4 * i + 2] << 8 |
           block[4 * i + 3];
  }
  for (int i = 16; i < 64; i++) {
    u32 s0 = Rotr(w[i - 15], 7) ^ Rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
    u32 s1 = Rotr(w[i - 2], 17) ^ Rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  u32 a = state[0], b = state[1], c = state[2], d = state[3];
  u32 e = state[4], f = state[5], g = state[6], h = state[7];
  for (int i = 0; i < 64; i++) {
    u32 t1 = h + (Rotr(e, 6) ^ Rotr(e, 11) ^ Rotr(e, 25)) + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
    u32 t2 = (Rotr(a, 2) ^ Rotr(a, 13) ^ Rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d;
  state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}
static u8 data[64 * 1024];
u32 sha256(u32 scale) {
  for (u32 i = 0; i < sizeof data; i++) data[i] = (u8)Random();
  for (u32 n = 0; n < 8 * scale; n++) {
    for (u32 i = 0; i < sizeof data; i += 64) Compress(data + i);
  }
  return state[0];
}

// heapsort: loads, stores, unpredictable branches
static double numbers[200000];
u32 heapsort(u32 scale) {
  int n = (int)(20000 * scale);
  for (int i = 0; i < n; i++) numbers[i] = (double)Random() * 0.5;
  for (int end = n, start = n / 2; end > 1;) {
    if (start > 0) {
      start--;
    } else {
      end--;
      double top = numbers[end];
      numbers[end] = numbers[0];
      numbers[0] = top;
    }
    int root = start;
    double value = numbers[root];
    for (int child; (child = 2 * root + 1) < end; root = child) {
      if (child + 1 < end && numbers[child] < numbers[child + 1]) child++;
      if (value >= numbers[child]) break;
      numbers[root] = numbers[child];
    }
    numbers[root] = value;
  }
  return (u32)numbers[n / 2];
}

// coremark: a linked list, a matrix, a state machine and a checksum
struct Node {
  struct Node* next;
  int value;
};
static struct Node nodes[1000];
static short matrix_a[40][40], matrix_b[40][40];
static int matrix_c[40][40];
static char text[2000];
NOINLINE static u32 Crc(u32 crc, u32 value) {
  for (int i = 0; i < 16; i++) {
    u32 carry = (crc ^ value) & 1;
    crc >>= 1, value >>= 1;
    if (carry) crc ^= 0xa001;
  }
  return crc;
}
NOINLINE static struct Node* Reverse(struct Node* list) {
  struct Node* result = 0;
  while (list) {
    struct Node* next = list->next;
    list->next = result;
    result = list;
    list = next;
  }
  return result;
}
NOINLINE static int Find(struct Node* list, int value) {
  int steps = 0;
  while (list && list->value != value) list = list->next, steps++;
  return steps;
}
NOINLINE static u32 Scan(const char* at) {
  u32 counts[5] = {0}, kind = 0;
  for (; *at; at++) {
    switch (kind) {
      case 0: kind = *at >= '0' && *at <= '9' ? 1 : *at == '.' ? 2 : *at == '+' ? 3 : 4; break;
      case 1: kind = *at == '.' ? 2 : *at == ',' ? 0 : *at >= '0' && *at <= '9' ? 1 : 4; break;
      case 2: kind = *at == 'e' ? 3 : *at == ',' ? 0 : 2; break;
      case 3: kind = *at >= '0' && *at <= '9' ? 1 : *at == ',' ? 0 : 4; break;
      default: kind = *at == ',' ? 0 : 4; break;
    }
    counts[kind]++;
  }
  return counts[0] + 3 * counts[1] + 5 * counts[2] + 7 * counts[3] + 11 * counts[4];
}
NOINLINE static void Multiply(void) {
  for (int i = 0; i < 40; i++) {
    for (int j = 0; j < 40; j++) {
      int sum = 0;
      for (int k = 0; k < 40; k++) sum += matrix_a[i][k] * matrix_b[k][j];
      matrix_c[i][j] = sum;
    }
  }
}
u32 coremark(u32 scale) {
  static const char kCharacters[] = "0123456789.+e,,x";
  u32 crc = 0;
  for (int i = 0; i < 1000; i++) {
    nodes[i].next = i < 999 ? &nodes[i + 1] : 0;
    nodes[i].value = i * 7 % 1000;
  }
  for (int i = 0; i < 1999; i++) text[i] = kCharacters[Random() % 16];
  for (int i = 0; i < 1600; i++) {
    matrix_a[i / 40][i % 40] = (short)Random();
    matrix_b[i / 40][i % 40] = (short)Random();
  }
  struct Node* list = nodes;
  for (u32 n = 0; n < 60 * scale; n++) {
    list = Reverse(list);
    for (int i = 0; i < 20; i++) crc = Crc(crc, (u32)Find(list, i * 50));
    Multiply();
    crc = Crc(crc, (u32)matrix_c[n % 40][n % 37]);
    for (int i = 0; i < 5; i++) crc = Crc(crc, Scan(text + i));
  }
  return crc;
}

// mandelbrot: floating point
u32 mandelbrot(u32 scale) {
  u32 inside = 0;
  int size = (int)(60 * scale);
  for (int y = 0; y < size; y++) {
    for (int x = 0; x < size; x++) {
      double cr = 2.0 * x / size - 1.5, ci = 2.0 * y / size - 1.0, r = 0, i = 0;
      int n = 0;
      for (; n < 100 && r * r + i * i < 4.0; n++) {
        double t = r * r - i * i + cr;
        i = 2.0 * r * i + ci;
        r = t;
      }
      inside += n == 100;
    }
  }
  return inside;
}

// indirect: calls through a table
typedef u32 (*Operation)(u32, u32);
NOINLINE static u32 OpAdd(u32 a, u32 b) { return a + b; }
NOINLINE static u32 OpSub(u32 a, u32 b) { return a - b; }
NOINLINE static u32 OpXor(u32 a, u32 b) { return a ^ b; }
NOINLINE static u32 OpMul(u32 a, u32 b) { return a * (b | 1); }
static Operation volatile operations[4] = {OpAdd, OpSub, OpXor, OpMul};
u32 indirect(u32 scale) {
  Operation local[4];
  for (int i = 0; i < 4; i++) local[i] = operations[i];
  u32 value = 1;
  for (u32 i = 0; i < 2000000 * scale; i++) value = local[(i * 7 + (i >> 3)) & 3](value, i);
  return value;
}
