"""Complete examples on real text: data, training, figures on what was held out."""
