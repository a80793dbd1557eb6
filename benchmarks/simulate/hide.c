/* Answers patched `cpuid` instructions (patch.py) without what HIDE names.

   gcc -O2 -shared -fPIC -o hide.so hide.c
   LD_PRELOAD=./hide.so HIDE=avx512,avx-vnni PYTHON …

   HIDE=avx512 leaves AVX-VNNI, as on Intel's client processors from Alder Lake. AMX goes with AVX-512.
   Leaves and bits: Intel's manual, volume 2A, CPUID. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static int without_avx512, without_avx_vnni;

#define BIT(n) (1u << (n))

static void answer(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  unsigned leaf = registers[REG_RAX], part = registers[REG_RCX], a, b, c, d;
  __cpuid_count(leaf, part, a, b, c, d);
  if (without_avx512 && leaf == 7 && part == 0) {
    b &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
    c &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
    d &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25));
  }
  if (without_avx512 && leaf == 7 && part == 1) {
    a &= ~(BIT(5) | BIT(21));
    d &= ~(BIT(4) | BIT(5) | BIT(10) | BIT(19));
  }
  if (without_avx_vnni && leaf == 7 && part == 1) a &= ~BIT(4);
  if (without_avx512 && leaf == 0x24) b = 0; /* AVX10 */
  registers[REG_RAX] = a;
  registers[REG_RBX] = b;
  registers[REG_RCX] = c;
  registers[REG_RDX] = d;
}

__attribute__((constructor)) static void listen_to_traps(void) {
  const char *hide = getenv("HIDE");
  without_avx512 = hide && strstr(hide, "avx512");
  without_avx_vnni = hide && strstr(hide, "avx-vnni");
  struct sigaction action = {0};
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGTRAP, &action, 0);
}
