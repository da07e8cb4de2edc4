// The mix that the well-known embedded benchmark stands for: linked lists, a small matrix, a state machine over text,
// and a CRC over everything.
#include "timing.h"

struct Node {
  struct Node* next;
  int16_t key;
  int16_t value;
};
enum { kNodes = 200, kMatrix = 24 };
static struct Node nodes[kNodes];
static int16_t left[kMatrix][kMatrix], right[kMatrix][kMatrix];
static int32_t product[kMatrix][kMatrix];
static const char text[] = "5012,1234,-874,+122,35.54400,.1234500,-110.700,+0.64400,5.500e+3,-.123e-2,T0.3e-1F,-T.T++Tq,1T3.4e4z";

static uint16_t Crc(uint16_t crc, uint32_t data) {
  for (int bit = 0; bit < 32; ++bit) {
    const uint16_t carry = (uint16_t)((crc ^ data) & 1);
    crc >>= 1;
    data >>= 1;
    if (carry) crc ^= 0xa001;
  }
  return crc;
}

static struct Node* Merge(struct Node* a, struct Node* b) {
  struct Node head = {0, 0, 0}, *tail = &head;
  while (a && b) {
    struct Node** least = a->key <= b->key ? &a : &b;
    tail->next = *least;
    tail = *least;
    *least = (*least)->next;
  }
  tail->next = a ? a : b;
  return head.next;
}

static struct Node* Sort(struct Node* list) {
  if (!list || !list->next) return list;
  struct Node *slow = list, *fast = list->next;
  while (fast && fast->next) slow = slow->next, fast = fast->next->next;
  struct Node* second = slow->next;
  slow->next = 0;
  return Merge(Sort(list), Sort(second));
}

static uint16_t Lists(uint16_t crc, int seed) {
  for (int i = 0; i < kNodes; ++i) {
    nodes[i].next = i + 1 < kNodes ? &nodes[i + 1] : 0;
    nodes[i].key = (int16_t)((i * 7919 + seed) % 1009);
    nodes[i].value = (int16_t)i;
  }
  for (struct Node* node = Sort(nodes); node; node = node->next) crc = Crc(crc, (uint32_t)node->value);
  return crc;
}

static uint16_t Matrix(uint16_t crc, int seed) {
  for (int i = 0; i < kMatrix; ++i) {
    for (int j = 0; j < kMatrix; ++j) left[i][j] = (int16_t)(i * j + seed), right[i][j] = (int16_t)(i - j + seed);
  }
  for (int i = 0; i < kMatrix; ++i) {
    for (int j = 0; j < kMatrix; ++j) {
      int32_t sum = 0;
      for (int k = 0; k < kMatrix; ++k) sum += left[i][k] * right[k][j];
      product[i][j] = sum;
    }
  }
  for (int i = 0; i < kMatrix; ++i) crc = Crc(crc, (uint32_t)product[i][kMatrix - 1 - i]);
  return crc;
}

enum State { kStart, kInteger, kFloat, kExponent, kInvalid, kStates };
static uint16_t Machine(uint16_t crc) {
  uint32_t counts[kStates] = {0};
  enum State state = kStart;
  for (const char* p = text; *p; ++p) {
    const char c = *p;
    if (c == ',') {
      ++counts[state];
      state = kStart;
      continue;
    }
    switch (state) {
      case kStart: state = (c >= '0' && c <= '9') || c == '+' || c == '-' ? kInteger : c == '.' ? kFloat : kInvalid; break;
      case kInteger: if (c == '.') state = kFloat; else if (c < '0' || c > '9') state = kInvalid; break;
      case kFloat: if (c == 'e') state = kExponent; else if (c < '0' || c > '9') state = kInvalid; break;
      case kExponent: if (c != '+' && c != '-' && (c < '0' || c > '9')) state = kInvalid; break;
      default: break;
    }
  }
  for (int i = 0; i < kStates; ++i) crc = Crc(crc, counts[i]);
  return crc;
}

static uint64_t Work(void) {
  uint16_t crc = 0;
  for (int i = 0; i < 1500; ++i) {
    crc = Lists(crc, i);
    crc = Matrix(crc, i);
    for (int j = 0; j < 20; ++j) crc = Machine(crc);
  }
  return crc;
}
int main(void) { return Measure(Work); }
