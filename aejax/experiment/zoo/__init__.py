"""Lists the registered experiments: a line on each, and the function of a module beside this one that builds it."""

ENTRIES: dict[str, tuple[str, str]] = {
    "ae-keras": ("Keras' simple autoencoder, 784-32-784: the article's", "aejax.experiment.zoo.ae:keras"),
    "ae-deep": ("Keras' deep autoencoder, 784-128-64-32 and back", "aejax.experiment.zoo.ae:deep"),
    "ae-conv": ("a convolutional autoencoder with a 128-d code, after Keras'", "aejax.experiment.zoo.ae:conv"),
    "ae-linear-32": (
        "a linear autoencoder with a 32-d code: it finds PCA's subspace",
        "aejax.experiment.zoo.ae:linear_32",
    ),
    "ae-overcomplete": (
        "a code of 1,024, larger than the input, held by weight decay",
        "aejax.experiment.zoo.ae:overcomplete",
    ),
    "ae-hinton": (
        "Hinton & Salakhutdinov's deep autoencoder, 784-1000-500-250-30 and back",
        "aejax.experiment.zoo.ae:hinton",
    ),
    "cae": (
        "a contractive autoencoder, 784-1000-784 with tied weights: the code moves little with its input",
        "aejax.experiment.zoo.ae:contractive",
    ),
    "rae-mnist": (
        "a regularised autoencoder, 784-512-256-16 and back, whose codes a fitted mixture draws",
        "aejax.experiment.zoo.ae:regularised",
    ),
    "dae-gaussian": (
        "a denoising autoencoder, 784-1000-784, against Gaussian noise of 0.5",
        "aejax.experiment.zoo.dae:gaussian",
    ),
    "dae-masking": (
        "a denoising autoencoder, 784-1000-784, with every second pixel lost",
        "aejax.experiment.zoo.dae:masking",
    ),
    "dae-tabular": (
        "anomalies in tables: how far a denoising autoencoder's code of a row, and the row, lie from others, joined",
        "aejax.experiment.zoo.dae:tabular",
    ),
    "ae-tabular": (
        "a table of numbers of any kind: its columns standardised, a code of 8 between hidden layers",
        "aejax.experiment.zoo.ae:tabular",
    ),
    "ae-photos": (
        "a residual autoencoder of CIFAR-10's photos with a code of 128 numbers, or of photos elsewhere by --data",
        "aejax.experiment.zoo.photos:plain",
    ),
    "dae-photos": (
        "a residual denoising autoencoder of the same photos, against Gaussian noise of any level up to 0.2",
        "aejax.experiment.zoo.photos:denoising",
    ),
    "mae-photos": (
        "a masked autoencoder of the same photos, whose encoder sees a quarter of their patches",
        "aejax.experiment.zoo.masked:photos",
    ),
    "sae-keras": (
        "Keras' sparse autoencoder: 784-32-784 with an L1 penalty on the codes",
        "aejax.experiment.zoo.sae:keras",
    ),
    "sae-kl": ("UFLDL's 200 sigmoid units, each to be active a tenth of the time", "aejax.experiment.zoo.sae:kl"),
    "sae-topk": ("a k-sparse autoencoder: 25 of 1,000 units active in training", "aejax.experiment.zoo.sae:top_k"),
    "sae-wta": (
        "winner-take-all: 2,000 units, each active for a twentieth of a batch",
        "aejax.experiment.zoo.sae:winner_take_all",
    ),
    "dictionary-l1": (
        "a dictionary under an L1 penalty that is led to 8 active units, on known features",
        "aejax.experiment.zoo.dictionary:l1",
    ),
    "dictionary-topk": (
        "a dictionary of 256 units, the 8 largest active, dead ones revived",
        "aejax.experiment.zoo.dictionary:top_k",
    ),
    "dictionary-batchtopk": (
        "the same with 8 active units on average over a batch",
        "aejax.experiment.zoo.dictionary:batch_top_k",
    ),
    "dictionary-matryoshka": (
        "the same whose first 16, 32, 64 and 128 units reconstruct by themselves too",
        "aejax.experiment.zoo.dictionary:matryoshka",
    ),
    "dictionary-jumprelu": (
        "a dictionary of learned thresholds, led to 8 active units",
        "aejax.experiment.zoo.dictionary:jump_relu",
    ),
    "dictionary-gated": (
        "a dictionary of gates and magnitudes, led to 8 active units",
        "aejax.experiment.zoo.dictionary:gated",
    ),
    "vae-flax": ("Flax's own VAE example, 784-500-20, on binary pixels", "aejax.experiment.zoo.vae:flax"),
    "vae-keras": ("a variational autoencoder with a 2-d code, after Keras' example", "aejax.experiment.zoo.vae:keras"),
    "vae-conv": ("a convolutional variational autoencoder on binary pixels", "aejax.experiment.zoo.vae:conv"),
    "vae-mnist": ("a variational autoencoder, 784-400-40, on binary pixels", "aejax.experiment.zoo.vae:static"),
    "gated-mnist": (
        "a VAE of gated layers, 784-300-300-40, on binary pixels: the twin of three with learned priors",
        "aejax.experiment.zoo.vae:gated",
    ),
    "vamp-mnist": ("`gated-mnist` with a VampPrior of 500 pseudo-inputs", "aejax.experiment.zoo.vae:vamp"),
    "real-nvp-mnist": ("`gated-mnist` with coupling layers as its prior", "aejax.experiment.zoo.flows:real_nvp"),
    "maf-mnist": ("`gated-mnist` with masked autoregressive steps as its prior", "aejax.experiment.zoo.flows:maf"),
    "mean-field-mnist": (
        "a VAE with a code of 128, 784-256-256-128, on binary pixels: the twin of the next two",
        "aejax.experiment.zoo.flows:mean_field",
    ),
    "iaf-mnist": (
        "the same with a posterior by inverse autoregressive flow",
        "aejax.experiment.zoo.flows:iaf",
    ),
    "planar-mnist": ("the same with a posterior by planar flow", "aejax.experiment.zoo.flows:planar"),
    "ladder-mnist": (
        "a top-down hierarchy: maps of 14 x 14, 7 x 7 and 4 x 4 places, each layer given those above, on binary pixels",
        "aejax.experiment.zoo.vae:ladder",
    ),
    "cvae-mnist": ("`vae-flax` with the digit's class known on both ways", "aejax.experiment.zoo.vae:conditional"),
    "vq-vae-mnist": (
        "a VQ-VAE: 7 x 7 codes, each one of 256, in place of an image",
        "aejax.experiment.zoo.vae:vector_quantised",
    ),
    "fsq-mnist": (
        "the same with codes of 8 x 6 x 5 levels, which are not learned and cannot die; noise in training, 15 epochs",
        "aejax.experiment.zoo.vae:finite_scalar_quantised",
    ),
    "categorical-mnist": (
        "20 categorical variables of 10 values each, by the Gumbel-softmax relaxation, on binary pixels",
        "aejax.experiment.zoo.vae:categorical",
    ),
    "svae-mnist": (
        "a hyperspherical VAE, whose codes of 11 numbers have length 1: von Mises-Fisher posteriors, a uniform prior",
        "aejax.experiment.zoo.vae:spherical",
    ),
    "wae-mnist": (
        "a Wasserstein autoencoder, 784-512-256-8 and back: deterministic codes, brought to the prior by their MMD",
        "aejax.experiment.zoo.aggregate:wasserstein",
    ),
    "aae-mnist": (
        "an adversarial autoencoder: the same, whose codes a critic tells from draws of the prior",
        "aejax.experiment.zoo.aggregate:adversarial",
    ),
    "vae-gan-mnist": (
        "a VAE-GAN: a convolutional VAE on grey pixels, whose decoder a critic tells from the data",
        "aejax.experiment.zoo.vae:gan",
    ),
    "vae-tabular": (
        "the density of a table of numbers: a normal distribution of each column, of learned width, given a code of 8",
        "aejax.experiment.zoo.vae:tabular",
    ),
    "vae-counts": (
        "a table of counts: a negative binomial distribution of each, its mean a share of the row's total",
        "aejax.experiment.zoo.vae:counts",
    ),
    "vae-sprites": ("a plain VAE on sprites, 1024-256-128-10 and back", "aejax.experiment.zoo.vae:sprites"),
    "beta-vae-sprites": (
        "the same with a rate that weighs 16: x, y and size have a latent each",
        "aejax.experiment.zoo.vae:beta_sprites",
    ),
    "factor-vae-sprites": (
        "the FactorVAE: a critic estimates the total correlation of the codes, which is lowered",
        "aejax.experiment.zoo.vae:factor_sprites",
    ),
    "vae-photos": (
        "a residual VAE of CIFAR-10's photos, whose pixels are mixtures of logistic distributions",
        "aejax.experiment.zoo.photos:variational",
    ),
    "vq-photos": (
        "a residual VQ-VAE of the same photos: 8 x 8 codes, each one of 512",
        "aejax.experiment.zoo.photos:vector_quantised",
    ),
    "vae-iwae-k1": (
        "784-200-200-50, IWAE's baseline: a bound of one sample",
        "aejax.experiment.zoo.iwae:vae_k1",
    ),
    "vae-iwae-k5": ("`vae-iwae-k1`, its bound estimated by 5 samples", "aejax.experiment.zoo.iwae:vae_k5"),
    "vae-iwae-k50": ("`vae-iwae-k1`, its bound estimated by 50 samples", "aejax.experiment.zoo.iwae:vae_k50"),
    "iwae-k5": (
        "`vae-iwae-k1` by the importance-weighted bound of 5 samples",
        "aejax.experiment.zoo.iwae:k5",
    ),
    "iwae-k50": ("the same by the bound of 50 samples", "aejax.experiment.zoo.iwae:k50"),
    "vae-iwae-2-k1": (
        "two stochastic layers, 784-100-50, by a bound of one sample",
        "aejax.experiment.zoo.iwae:vae_two_k1",
    ),
    "iwae-2-k5": (
        "the same by the importance-weighted bound of 5 samples",
        "aejax.experiment.zoo.iwae:two_k5",
    ),
    "iwae-2-k50": ("the same by the bound of 50 samples", "aejax.experiment.zoo.iwae:two_k50"),
}
