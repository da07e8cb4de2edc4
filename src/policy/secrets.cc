#include "policy/secrets.h"

#include <algorithm>

#include "policy/managers.h"
#include "policy/words.h"

namespace cordon::policy {
namespace {

// Of names in capitals: parts, between underscores or at an end.
constexpr std::string_view kNameParts[] = {
    "TOKEN",      "SECRET",      "SECRETS", "PASSWORD", "PASSWD",  "PASSPHRASE", "PASS",
    "CREDENTIAL", "CREDENTIALS", "APIKEY",  "KEY",      "AUTH",    "PAT",        "PRIVATE",
    "SIGNING",    "COOKIE",      "SESSION", "DSN",      "WEBHOOK", "KEYFILE",    "PWD"};
constexpr std::string_view kNamePrefixes[] = {
    "AWS_",   "GCP_",        "GOOGLE_",          "AZURE_",   "CLOUDSDK_",
    "VAULT_", "DOCKER_AUTH", "NPM_CONFIG__AUTH", "SSH_AUTH", "GPG_"};
// Names that would be taken for one and are none.
constexpr std::string_view kHarmlessNames[] = {"PWD",
                                               "OLDPWD",
                                               "XDG_SESSION_ID",
                                               "XDG_SESSION_TYPE",
                                               "DESKTOP_SESSION",
                                               "XDG_SESSION_DESKTOP",
                                               "XDG_SESSION_CLASS"};
constexpr std::string_view kValuePrefixes[] = {
    "ghp_",    "gho_",     "ghu_",     "ghs_",  "ghr_",  "github_pat_", "glpat-",
    "npm_",    "pypi-",    "AKIA",     "ASIA",  "xoxb-", "xoxp-",       "xoxa-",
    "sk-",     "sk_live_", "rk_live_", "AIza",  "ya29.", "eyJhbGci",    "-----BEGIN",
    "dop_v1_", "hf_",      "SG.",      "shpat_"};

// Below the home directory. What is below each is meant too.
constexpr std::string_view kCredentialFiles[] = {".ssh",
                                                 ".aws",
                                                 ".kube",
                                                 ".gnupg",
                                                 ".docker",
                                                 ".config/gcloud",
                                                 ".config/gh",
                                                 ".config/git/credentials",
                                                 ".git-credentials",
                                                 ".npmrc",
                                                 ".pypirc",
                                                 ".netrc",
                                                 ".cargo/credentials",
                                                 ".cargo/credentials.toml",
                                                 ".azure",
                                                 ".config/op",
                                                 ".password-store",
                                                 ".local/share/keyrings",
                                                 ".gem/credentials",
                                                 ".config/composer/auth.json",
                                                 ".composer/auth.json",
                                                 ".config/pypoetry/auth.toml",
                                                 ".mozilla",
                                                 ".config/google-chrome",
                                                 ".config/chromium",
                                                 ".bash_history",
                                                 ".zsh_history",
                                                 ".vault-token",
                                                 ".terraform.d/credentials.tfrc.json",
                                                 ".config/cordon"};
// Sockets and files that are the machine.
constexpr std::string_view kMachineControls[] = {"/var/run/docker.sock",
                                                 "/run/docker.sock",
                                                 "/run/podman",
                                                 "/run/containerd",
                                                 "/run/dbus",
                                                 "/run/systemd",
                                                 "/run/user",
                                                 "/proc",
                                                 "/sys",
                                                 "/dev",
                                                 "/etc/shadow",
                                                 "/etc/gshadow",
                                                 "/etc/sudoers",
                                                 "/var/lib/docker",
                                                 "/var/lib/containers"};

// The first of them, or nothing.
std::string_view SecretPart(std::string_view name) {
  for (;;) {
    const size_t end = name.find('_');
    const auto* const part = std::ranges::find(kNameParts, name.substr(0, end));
    if (part != std::end(kNameParts)) return *part;
    if (end == std::string_view::npos) return {};
    name.remove_prefix(end + 1);
  }
}

std::string UpperCase(std::string_view text) {
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  });
  return upper;
}

// Most names and values begin with none of many prefixes, and differ in their first letter.
bool BeginsWith(std::string_view text, std::string_view prefix) {
  return !text.empty() && text.front() == prefix.front() && text.starts_with(prefix);
}

// "scheme://user:password@host".
bool HasPassword(std::string_view value) {
  const size_t scheme = value.find("://");
  if (scheme == std::string_view::npos) return false;
  std::string_view rest = value.substr(scheme + 3);
  rest = rest.substr(0, rest.find_first_of("/?# "));
  const size_t at = rest.rfind('@');
  return at != std::string_view::npos && rest.substr(0, at).find(':') != std::string_view::npos;
}

}  // namespace

std::string SecretReason(std::string_view name, std::string_view value) {
  if (std::ranges::find(kHarmlessNames, name) != std::end(kHarmlessNames)) return {};
  const std::string upper = UpperCase(name);
  for (const std::string_view prefix : kNamePrefixes) {
    if (BeginsWith(upper, prefix)) return "its name begins with " + std::string(prefix);
  }
  if (const std::string_view part = SecretPart(upper); !part.empty()) {
    return "its name holds " + std::string(part);
  }
  for (const std::string_view suffix : {"TOKEN", "PASSWORD", "SECRET", "APIKEY"}) {
    if (upper.ends_with(suffix)) return "its name ends with " + std::string(suffix);
  }
  for (const std::string_view prefix : kValuePrefixes) {
    if (value.size() > prefix.size() + 8 && BeginsWith(value, prefix)) {
      return "its value begins like a key (" + std::string(prefix) + "…)";
    }
  }
  return HasPassword(value) ? "its value is an address with a password" : "";
}

std::string CredentialsIn(const std::string& path, const Surroundings& around) {
  if (path == "/") return "the whole host";
  for (const std::string_view control : kMachineControls) {
    if (IsWithin(path, control) || IsWithin(control, path)) {
      return std::string(control);
    }
  }
  if (path == "/home" || path == "/root" || path == "/Users") return "home directories";
  for (const std::string& home : {around.home, around.real_home}) {
    if (home.empty()) continue;
    const std::string folder = AbsolutePath("/", home);
    if (IsWithin(folder, path)) return "your home directory";
    if (IsWithin(path, folder)) {
      const std::string inner = path.substr(folder == "/" ? 1 : folder.size() + 1);
      for (const std::string_view file : kCredentialFiles) {
        if (IsWithin(inner, file) || IsWithin(file, inner)) return "~/" + std::string(file);
      }
    }
    if (around.real_home == around.home) break;
  }
  if (IsWithin(path, "/home") || IsWithin("/home", path)) {
    const std::string rest = path.substr(std::min(path.size(), sizeof "/home/" - 1));
    if (rest.find('/') == std::string::npos) return "somebody's home directory";
  }
  return {};
}

bool GitConfigHoldsSecret(std::string_view text) {
  for (const std::string& line : SplitList(text, '\n')) {
    if (UpperCase(line).find("EXTRAHEADER") != std::string::npos) return true;
    const size_t equals = line.find('=');
    const std::string_view value =
        std::string_view(line).substr(equals == std::string::npos ? 0 : equals + 1);
    const size_t scheme = value.find("://");
    if (scheme == std::string_view::npos) continue;
    const std::string_view rest = value.substr(scheme + 3);
    const size_t at = rest.substr(0, rest.find('/')).rfind('@');
    // A user alone is a secret where it is a token.
    if (at != std::string_view::npos && value.find("ssh://") == std::string_view::npos) return true;
  }
  return false;
}

}  // namespace cordon::policy
