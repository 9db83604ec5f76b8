"""Compile less: compiling is most of the time of most tests, and what it means is the same."""

import os
from contextlib import contextmanager
from functools import cache

import jax
import pytest

# With these XLA compiles small programs in two thirds of the time; later versions may not know
# them. The second cuts no program into parts that are optimised side by side.
FEWER = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}


@cache
def options():
    """Give the compiler's options that this XLA knows."""

    def known(option):
        try:
            jax.jit(lambda x: x).lower(0.0).compile(option)
        except jax.errors.JaxRuntimeError:
            return False
        return True

    return {name: value for name, value in FEWER.items() if known({name: value})}


def environment(**more):
    """Give the environment of a child process that compiles less."""
    flags = [f"--{name}={str(value).lower()}" for name, value in options().items()]
    return os.environ | {
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_TRACEBACK_IN_LOCATIONS_LIMIT": "0",
        "XLA_FLAGS": " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip(),
        **more,
    }


@contextmanager
def compilation():
    """Compile less in this process: what is compiled inside, not what was compiled before."""
    from jax._src import compiler  # no public setting gives options to all programs

    plain = getattr(compiler, "get_compile_options", None)

    def fewer(*args, env_options_overrides=None, **kwargs):
        overrides = {**options(), **(env_options_overrides or {})}
        return plain(*args, env_options_overrides=overrides, **kwargs)

    settings = {"jax_disable_most_optimizations": True, "jax_traceback_in_locations_limit": 0}
    before = {name: jax.config.values[name] for name in settings}
    options()
    with pytest.MonkeyPatch.context() as patch:
        if plain:
            patch.setattr(compiler, "get_compile_options", fewer)
        for name, value in settings.items():
            jax.config.update(name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                jax.config.update(name, value)
