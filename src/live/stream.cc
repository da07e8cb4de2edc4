#include "live/stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "arena/platform.h"

namespace cordon::live {

using control::kRingBytes;

namespace {
constexpr uint32_t kMostAtOnce = 64 * 1024;
}  // namespace

void RingService(control::Control& page) {
  page.service_bell.fetch_add(1);
  platform::WakeWord(&page.service_bell, 1);
}

OutputStream::Taken OutputStream::Take() {
  Taken taken = {State::kEmpty, {}};
  uint32_t fill = ring_.written.load() - read_;
  if (fill == 0) {
    ring_.reader_wants.store(control::kWantsBell);
    fill = ring_.written.load() - read_;
  }
  if (fill > kRingBytes) return {State::kDamaged, {}};
  if (end_) {
    fill = static_cast<uint32_t>(
        std::clamp<int32_t>(static_cast<int32_t>(*end_ - read_), 0, static_cast<int32_t>(fill)));
  }
  if (fill == 0) return taken;
  const uint32_t start = read_ % kRingBytes;
  uint32_t count = std::min({fill, kRingBytes - start, kMostAtOnce});
  const uint64_t left = limit_ - sent_;
  if (left == 0) {
    truncated_ = true;  // dropped, so that a shell that writes too much lives
    dropped_ += count;
  } else {
    if (credit_ <= 0) return {State::kWaitsForCredit, {}};
    count =
        static_cast<uint32_t>(std::min({uint64_t{count}, left, static_cast<uint64_t>(credit_)}));
    taken.bytes.assign(reinterpret_cast<const char*>(ring_.data + start), count);
    sent_ += count;
    credit_ -= count;
  }
  read_ += count;
  ring_.read.store(read_);
  if (ring_.writer_wants.exchange(0) != 0) RingService(page_);
  taken.state = State::kMore;
  return taken;
}

void InputStream::Add(std::string bytes) {
  if (!bytes.empty()) waiting_.push_back(std::move(bytes));
}

InputStream::Moved InputStream::Move() {
  Moved moved;
  if (closed_) {
    moved.broken = !waiting_.empty();
    waiting_.clear();
    return moved;
  }
  while (!waiting_.empty()) {
    if (ring_.reader_closed.load() != 0) {
      waiting_.clear();
      closed_ = true;
      moved.broken = true;
      return moved;
    }
    uint32_t fill = written_ - ring_.read.load();
    if (fill == kRingBytes) {
      ring_.writer_wants.store(control::kWantsBell);
      fill = written_ - ring_.read.load();
    }
    if (fill > kRingBytes) return {State::kDamaged, 0, false};
    if (fill == kRingBytes) {
      moved.state = State::kWaits;
      break;
    }
    const std::string& front = waiting_.front();
    const uint32_t start = written_ % kRingBytes;
    const auto count = static_cast<uint32_t>(
        std::min<size_t>({front.size() - front_done_, kRingBytes - fill, kRingBytes - start}));
    memcpy(ring_.data + start, front.data() + front_done_, count);
    written_ += count;
    front_done_ += count;
    moved.taken += count;
    ring_.written.store(written_);
    if (front_done_ == front.size()) {
      waiting_.pop_front();
      front_done_ = 0;
    }
    if (ring_.reader_wants.exchange(0) != 0) RingService(page_);
  }
  if (waiting_.empty() && closing_) {
    closed_ = true;
    ring_.writer_closed.store(1);
    RingService(page_);
  }
  return moved;
}

}  // namespace cordon::live
