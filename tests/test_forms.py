import jax
import jax.numpy as jnp

from edeline_jax.actor_critic.rollout import act
from edeline_jax.agent.networks import agent_shapes, build_agent
from tests.forms import taking
from tests.golden_data import config


def chooses_by_backend() -> bool:
    network, params = build_agent(config(), 5).actor_critic, agent_shapes(build_agent(config(), 5), (32, 32, 3))
    obs, gumbel = (jax.ShapeDtypeStruct((4, *shape), jnp.float32) for shape in ((32, 32, 3), (5,)))
    lstm = jax.eval_shape(lambda: network.init_state(4))
    program = jax.make_jaxpr(lambda params, *rest: act(params, network, *rest))
    return "platform_index" in str(program(params["actor_critic"], obs, lstm, gumbel))


def test_a_form_reaches_functions_that_were_traced_before_and_leaves_them_again() -> None:
    for _ in range(2):
        assert chooses_by_backend()
        for form in ("cuda", "tpu"):
            with taking(form):
                assert not chooses_by_backend()
    assert chooses_by_backend()
