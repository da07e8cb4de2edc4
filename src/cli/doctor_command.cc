#include "cli/doctor_command.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "backend/host/facilities.h"
#include "backend/host/program.h"
#include "backend/wasm/probe.h"
#include "backend/wasm/run.h"
#include "cli/command_line.h"
#include "cli/doctor_project.h"
#include "cli/programs.h"
#include "policy/resolve.h"
#include "policy/surroundings.h"
#include "policy/walls.h"

namespace cordon::cli {
namespace {

struct Wall {
  std::string name;
  bool works = false;
  std::string detail;
};

// A wall that this version does not have yet: what the host lacks for it.
Wall ExaminePlanned(const policy::WallFacts& facts, const std::vector<policy::HostFacility>& host) {
  std::string missing;
  for (const std::string& lack : policy::FindLacks(facts.wall, host)) {
    missing += (missing.empty() ? "" : "; ") + lack;
  }
  return {std::string(facts.name), false,
          "not in this version; the host " +
              (missing.empty() ? "has what it needs" : "lacks " + missing)};
}

Wall ExamineWasm() {
  Wall wall = {"wasm", false, {}};
  const Result<Programs> programs = Programs::Find();
  if (!programs) {
    wall.detail = programs.error().ToString();
    return wall;
  }
  const Result<backend::WasmProbe> probe =
      backend::ProbeWasmWall(programs->template_program, programs->userland);
  if (!probe) {
    wall.detail = probe.error().ToString();
    return wall;
  }
  wall.works = true;
  char text[128];
  (void)snprintf(text, sizeof text, "ran a pipeline in %.1f ms; namespaces: ",
                 static_cast<double>(probe->time.count()) / 1000);
  wall.detail = text + probe->isolation.ToString();
  return wall;
}

// An image that podman has, to run something of; docker's are its daemon's to run.
std::string LocalImage() {
  const Result<std::string> list = backend::RunProgram(
      {backend::FindInPath("podman"), "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"},
      std::chrono::seconds(5));
  const std::string first = list ? list->substr(0, list->find('\n')) : std::string();
  return first.find("<none>") == std::string::npos ? first : std::string();
}

// Runs a command behind it, as `cordon run` would in a directory without secrets.
Wall ExaminePlans(const policy::WallFacts& facts) {
  Wall wall = {std::string(facts.name), false, {}};
  policy::PlanRequest request;
  request.argv = {"true"};
  request.wall = facts.name;
  if (facts.wall == policy::Wall::kContainer) {
    request.image = LocalImage();
    if (request.image.empty()) {
      wall.detail = "podman has no image here to try it with, or does not answer";
      return wall;
    }
  }
  policy::Surroundings around = policy::Surroundings::OfThisProcess();
  around.directory = "/usr";
  const policy::Planned planned = policy::MakePlan(request, around);
  if (!planned.plan || !planned.plan->refusals.empty()) {
    wall.detail = (planned.plan ? planned.plan->refusals : planned.errors).front().ToString();
    return wall;
  }
  const auto begin = std::chrono::steady_clock::now();
  const Result<backend::PlanReport> report =
      backend::BackendOf(facts.wall)
          ->Run({.plan = *planned.plan, .cache_folder = around.cache_home});
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
  if (!report || report->exit_code != 0) {
    wall.detail = report ? report->reason : report.error().ToString();
    return wall;
  }
  wall.works = true;
  char text[160];
  (void)snprintf(text, sizeof text, "ran a command%s%s in %.1f ms; limits by %s",
                 request.image.empty() ? "" : " of ", request.image.c_str(), time.count(),
                 report->limits_by.c_str());
  wall.detail = text;
  return wall;
}

void PrintText(const std::vector<Wall>& walls, const std::vector<backend::Facility>& host,
               const std::vector<ProjectFinding>& project) {
  (void)puts("walls");
  for (const Wall& wall : walls) {
    (void)printf("  %-20s%-6s%s\n", wall.name.c_str(), wall.works ? "works" : "no",
                 wall.detail.c_str());
  }
  (void)puts("host");
  for (const backend::Facility& facility : host) {
    (void)printf("  %-20s%-6s%s\n", facility.name.c_str(), facility.there ? "yes" : "no",
                 facility.detail.c_str());
  }
  (void)puts("here");
  for (const ProjectFinding& finding : project) {
    (void)printf("  %-20s%-6s%s\n", finding.name.c_str(), finding.is_fine ? "fine" : "look",
                 finding.detail.c_str());
  }
}

void PrintJson(const std::vector<Wall>& walls, const std::vector<backend::Facility>& host,
               const std::vector<ProjectFinding>& project) {
  nlohmann::ordered_json json;
  for (const Wall& wall : walls) {
    json["walls"].push_back({{"name", wall.name}, {"works", wall.works}, {"detail", wall.detail}});
  }
  for (const backend::Facility& facility : host) {
    json["host"].push_back(
        {{"name", facility.name}, {"there", facility.there}, {"detail", facility.detail}});
  }
  for (const ProjectFinding& finding : project) {
    json["here"].push_back(
        {{"name", finding.name}, {"fine", finding.is_fine}, {"detail", finding.detail}});
  }
  (void)puts(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

int Examine(bool as_json, bool is_strict) {
  // First, while there is one thread.
  const std::vector<backend::Facility> host = backend::ProbeHost();
  std::vector<Wall> proved;
  for (const policy::WallFacts& facts : policy::Walls()) {
    const bool is_tried =
        facts.in_version && facts.wall != policy::Wall::kWasm && facts.wall != policy::Wall::kNone;
    if (is_tried) proved.push_back(ExaminePlans(facts));
  }
  std::vector<Wall> walls = {ExamineWasm()};
  std::ranges::move(proved, std::back_inserter(walls));
  const auto tried = static_cast<std::ptrdiff_t>(walls.size());
  std::vector<policy::HostFacility> facilities;
  facilities.reserve(host.size());
  for (const backend::Facility& facility : host) {
    facilities.push_back({facility.name, facility.there, facility.detail});
  }
  for (const policy::WallFacts& facts : policy::Walls()) {
    if (!facts.in_version && facts.wall != policy::Wall::kNone) {
      walls.push_back(ExaminePlanned(facts, facilities));
    }
  }
  const std::vector<ProjectFinding> project = ExamineProject();
  if (as_json) {
    PrintJson(walls, host, project);
  } else {
    PrintText(walls, host, project);
  }
  // What is not in this version, or was never installed, is no fault of the machine's.
  const bool all_work = std::ranges::all_of(walls.begin(), walls.begin() + tried, &Wall::works);
  return (is_strict ? all_work : walls[0].works) ? 0 : backend::kOwnFailure;
}

}  // namespace

void AddDoctorCommand(Command& app, std::function<int()>* chosen) {
  auto as_json = std::make_shared<bool>(false);
  auto is_strict = std::make_shared<bool>(false);
  Command doctor = app.AddCommand(
      "doctor",
      "which walls work on this machine, and what a project's policy leaves to be looked at");
  doctor.AddFlag("--json", *as_json, "for programs");
  doctor.AddFlag("--strict", *is_strict, "fail unless every wall of this version works");
  doctor.Footer("cordon doctor\ncordon doctor --json");
  doctor.OnCall([as_json, is_strict, chosen] {
    *chosen = [as_json, is_strict] { return Examine(*as_json, *is_strict); };
  });
}

}  // namespace cordon::cli
