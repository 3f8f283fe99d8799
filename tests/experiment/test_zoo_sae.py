import aejax


def test_sae_topk_has_come_down_to_k_halfway_through_its_training_of_60_000_images():
    experiment = aejax.get("sae-topk")
    assert 2 * experiment.model.latent.anneal_steps == experiment.epochs * (60_000 // experiment.batch_size)
