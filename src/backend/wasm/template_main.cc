#include "backend/wasm/template_entry.h"

int main() {
  cordon::backend::RunTemplate();
}
