"""The registered experiments, one line each; the modules beside this one build them."""

from aejax.registry import register

register("ae-keras", "Keras' simple autoencoder, 784-32-784: the article's", "aejax.zoo.ae:keras")
register("ae-deep", "Keras' deep autoencoder, 784-128-64-32 and back", "aejax.zoo.ae:deep")
register("ae-conv", "a convolutional autoencoder with a 128-d code, after Keras'", "aejax.zoo.ae:conv")
register("ae-linear-32", "a linear autoencoder with a 32-d code: it finds PCA's subspace", "aejax.zoo.ae:linear_32")
register(
    "ae-overcomplete",
    "a code of 1,024, larger than the input, held by weight decay",
    "aejax.zoo.ae:overcomplete",
)
register(
    "ae-hinton",
    "Hinton & Salakhutdinov's deep autoencoder, 784-1000-500-250-30 and back",
    "aejax.zoo.ae:hinton",
)
register(
    "cae",
    "a contractive autoencoder, 784-1000-784 with tied weights: the code moves little with its input",
    "aejax.zoo.ae:contractive",
)
register(
    "dae-gaussian", "a denoising autoencoder, 784-1000-784, against Gaussian noise of 0.5", "aejax.zoo.dae:gaussian"
)
register("dae-masking", "a denoising autoencoder, 784-1000-784, with every second pixel lost", "aejax.zoo.dae:masking")
register("sae-keras", "Keras' sparse autoencoder: 784-32-784 with an L1 penalty on the codes", "aejax.zoo.sae:keras")
register("sae-kl", "UFLDL's 200 sigmoid units, each to be active a tenth of the time", "aejax.zoo.sae:kl")
register("sae-topk", "a k-sparse autoencoder: 25 of 1,000 units active in training", "aejax.zoo.sae:top_k")
register(
    "sae-wta",
    "winner-take-all: 2,000 units, each active for a twentieth of a batch",
    "aejax.zoo.sae:winner_take_all",
)
register("vae-flax", "Flax's own VAE example, 784-500-20, on binary pixels", "aejax.zoo.vae:flax")
register("vae-keras", "a variational autoencoder with a 2-d code, after Keras' example", "aejax.zoo.vae:keras")
register("vae-conv", "a convolutional variational autoencoder on binary pixels", "aejax.zoo.vae:conv")
register("vamp-mnist", "a VampPrior of 500 pseudo-inputs, gated 784-300-300-40, on binary pixels", "aejax.zoo.vae:vamp")
register("cvae-mnist", "`vae-flax` with the digit's class known on both ways", "aejax.zoo.vae:conditional")
register(
    "vq-vae-mnist", "a VQ-VAE: 7 x 7 codes, each one of 256, in place of an image", "aejax.zoo.vae:vector_quantised"
)
register("vae-sprites", "a plain VAE on sprites, 1024-256-128-10 and back", "aejax.zoo.vae:sprites")
register(
    "beta-vae-sprites",
    "the same with a rate that weighs 16: x, y and size have a latent each",
    "aejax.zoo.vae:beta_sprites",
)
register("vae-iwae-k1", "784-200-200-50, IWAE's baseline: a bound of one sample, for 13 epochs", "aejax.zoo.iwae:k1")
register("iwae-k5", "the same by the importance-weighted bound of 5 samples, for 13 epochs", "aejax.zoo.iwae:k5")
register("iwae-k50", "the same by the bound of 50 samples, for 13 epochs", "aejax.zoo.iwae:k50")
register(
    "vae-iwae-2-k1",
    "two stochastic layers, 784-100-50, by a bound of one sample, for 13 epochs",
    "aejax.zoo.iwae:two_k1",
)
register("iwae-2-k5", "the same by the importance-weighted bound of 5 samples, for 13 epochs", "aejax.zoo.iwae:two_k5")
register("iwae-2-k50", "the same by the bound of 50 samples, for 13 epochs", "aejax.zoo.iwae:two_k50")
