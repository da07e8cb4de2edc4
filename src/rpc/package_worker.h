#ifndef CORDON_RPC_PACKAGE_WORKER_H_
#define CORDON_RPC_PACKAGE_WORKER_H_

// Processes that do for the daemon what takes time: they are this program, with its memory and
// none of its descriptors, and end with it.

#include <boost/asio/io_context.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "packages/install.h"
#include "rpc/message.h"

namespace cordon::rpc {

// In the worker: tells the daemon something.
using Say = std::function<void(const Json&)>;
// In the daemon: hears each, and then the end, once.
struct WorkerListener {
  std::function<void(const Json&)> on_message;
  std::function<void()> on_end;
};
class PackageWorkers {
 public:
  explicit PackageWorkers(boost::asio::io_context& loop) : loop_(loop) {}

  // `work` runs in a new process. Where there is none, only the end is heard. What is returned
  // kills it and whatever it started; the end is heard after that, too.
  std::function<void()> Run(const std::function<void(const Say&)>& work, WorkerListener listener);
  // Kills all; nobody hears of it any more.
  void End();

  class Job;

 private:
  boost::asio::io_context& loop_;
  std::vector<std::weak_ptr<Job>> jobs_;
};

// Compiles modules of the store well, one after the other in the background.
class PackageOptimiser {
 public:
  explicit PackageOptimiser(PackageWorkers& workers) : workers_(workers) {}

  // `then` hears when the compile cache has the better code; nothing where it could not be made.
  void Want(const packages::Tools& tools, const std::string& hash, std::function<void()> then);

 private:
  void Next();

  struct Wanted {
    packages::Tools tools;
    std::vector<std::function<void()>> then;
  };
  PackageWorkers& workers_;
  std::deque<std::string> order_;
  std::map<std::string, Wanted> wanted_;
  bool is_busy_ = false;
};

}  // namespace cordon::rpc

#endif  // CORDON_RPC_PACKAGE_WORKER_H_
