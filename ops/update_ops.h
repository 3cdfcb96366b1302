#pragma once
// Builders of optimizer updates (TensorFlow's training_ops). `var`, `accum`, `m`, ...
// are handles of variables (Variable::handle()) of one dtype and shape, which the op
// overwrites; `grad` has the shape of `var`; hyperparameters are scalars of the same
// dtype. Every update is one pass over memory. They run in program order.
//
// The formulas are TensorFlow's, tensorflow/core/kernels/training_ops.cc.

#include "core/tensor/tensor.h"

namespace tributary::ops {

// var -= alpha * delta.
void ResourceApplyGradientDescent(const Tensor& var, const Tensor& alpha, const Tensor& delta);
// accum = accum * momentum + grad; var -= lr * accum, or with Nesterov
// var -= lr * (grad + momentum * accum).
void ResourceApplyMomentum(const Tensor& var, const Tensor& accum, const Tensor& lr,
                           const Tensor& grad, const Tensor& momentum,
                           bool use_nesterov = false);
// accum = accum * momentum - lr * grad; var += accum, or with Nesterov
// var += momentum * accum - lr * grad. Keras's SGD.
void ResourceApplyKerasMomentum(const Tensor& var, const Tensor& accum, const Tensor& lr,
                                const Tensor& grad, const Tensor& momentum,
                                bool use_nesterov = false);
// accum += grad^2; var -= lr * grad / (sqrt(accum) + epsilon).
void ResourceApplyAdagradV2(const Tensor& var, const Tensor& accum, const Tensor& lr,
                            const Tensor& epsilon, const Tensor& grad,
                            bool update_slots = true);
// accum += grad^2; var -= lr * grad / sqrt(accum + epsilon): Keras's Adagrad. Op
// "_ResourceApplyKerasAdagrad": TensorFlow has none.
void ResourceApplyKerasAdagrad(const Tensor& var, const Tensor& accum, const Tensor& lr,
                               const Tensor& epsilon, const Tensor& grad);
// ms = rho * ms + (1 - rho) * grad^2; mom = momentum * mom + lr * grad / sqrt(ms +
// epsilon); var -= mom.
void ResourceApplyRMSProp(const Tensor& var, const Tensor& ms, const Tensor& mom,
                          const Tensor& lr, const Tensor& rho, const Tensor& momentum,
                          const Tensor& epsilon, const Tensor& grad);
// The same with mg = rho * mg + (1 - rho) * grad, and ms - mg^2 in place of ms.
void ResourceApplyCenteredRMSProp(const Tensor& var, const Tensor& mg, const Tensor& ms,
                                  const Tensor& mom, const Tensor& lr, const Tensor& rho,
                                  const Tensor& momentum, const Tensor& epsilon,
                                  const Tensor& grad);
// m += (1 - beta1) * (grad - m); v += (1 - beta2) * (grad^2 - v);
// var -= lr * sqrt(1 - beta2_power) / (1 - beta1_power) * m / (sqrt(v) + epsilon).
// beta*_power: beta to the power of the step's number, from 1.
void ResourceApplyAdam(const Tensor& var, const Tensor& m, const Tensor& v,
                       const Tensor& beta1_power, const Tensor& beta2_power, const Tensor& lr,
                       const Tensor& beta1, const Tensor& beta2, const Tensor& epsilon,
                       const Tensor& grad, bool use_nesterov = false);
// Adam after var -= lr * weight_decay * var (Loshchilov and Hutter, "Decoupled weight
// decay regularization"; Keras's AdamW). Op "_ResourceApplyAdamW": TensorFlow has none.
void ResourceApplyAdamW(const Tensor& var, const Tensor& m, const Tensor& v,
                        const Tensor& beta1_power, const Tensor& beta2_power,
                        const Tensor& lr, const Tensor& beta1, const Tensor& beta2,
                        const Tensor& epsilon, const Tensor& weight_decay,
                        const Tensor& grad);

// Only the rows `indices` (int32 or int64 [n]; repeated rows are applied one after
// the other, as TensorFlow does) of var and slots; grad: [n, ...].
void ResourceSparseApplyMomentum(const Tensor& var, const Tensor& accum, const Tensor& lr,
                                 const Tensor& grad, const Tensor& indices,
                                 const Tensor& momentum, bool use_nesterov = false);
void ResourceSparseApplyAdagradV2(const Tensor& var, const Tensor& accum, const Tensor& lr,
                                  const Tensor& epsilon, const Tensor& grad,
                                  const Tensor& indices, bool update_slots = true);

}  // namespace tributary::ops
